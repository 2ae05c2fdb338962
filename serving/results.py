"""Answers in a file: CSV, or JSON a line; a killed run leaves whole lines, and the next goes on."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, cast

from schema.errors import PneumoError
from schema.files import take_lock
from serving.answer import Prediction

_TORN = 1 << 16  # no record is longer
_FIXED = ("file", "decision", "predicted", "score")


class Format(Protocol):
    """How an answer is written as one record, and read again."""

    def header(self) -> bytes:
        """What stands before the first record."""

    def encode(self, answer: Prediction) -> bytes:
        """One record, with its end of line."""

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, Prediction]]:
        """Each whole record after the header: where it ends, and what it says."""

    def decode(self, file: IO[bytes]) -> Prediction:
        """The whole record at which a file stands."""

    def whole(self, rest: bytes) -> bool:
        """Whether a record seems to end in these bytes, which are none that could be read."""


class Csv:
    """One row an answer: file, decision, predicted, score, p_CLASS for each class, status,
    error, and boxes of a model that locates.

    Args:
      classes: names in the order of the columns.
      boxes: whether there is a column of boxes, "score x y width height" for each, in pixels: what
        the RSNA challenge calls a prediction string.
    """

    def __init__(self, classes: Sequence[str], boxes: bool = False) -> None:
        self._classes, self._boxes = list(classes), boxes
        self._columns = [*_FIXED, *(f"p_{name}" for name in classes), "status", "error"]
        self._columns += ["boxes"] if boxes else []

    def header(self) -> bytes:
        """Names of the columns."""
        return csv_row(self._columns)

    def encode(self, answer: Prediction) -> bytes:
        """One row."""
        numbers = [answer.probabilities.get(name, "") for name in self._classes]
        score = "" if answer.score is None else answer.score
        fixed = [answer.file, answer.decision, answer.predicted, score]
        places = [to_string(answer)] if self._boxes else []
        return csv_row([*fixed, *numbers, answer.status, answer.error, *places])

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, Prediction]]:
        """Each whole row after the header."""
        end = 0

        def whole_lines() -> Iterator[str]:
            nonlocal end
            for line in file:
                if not line.endswith(b"\n"):
                    return
                end += len(line)
                yield line.decode("utf-8", "surrogateescape")

        rows = csv.reader(whole_lines(), strict=True)
        try:
            next(rows, None)
            for row in rows:
                if len(row) != len(self._columns):
                    return
                yield end, self._decode(row)
        except (csv.Error, ValueError):
            return  # what follows is torn

    def decode(self, file: IO[bytes]) -> Prediction:
        """The row at which a file stands; a name may hold line feeds."""
        lines = (line.decode("utf-8", "surrogateescape") for line in file)
        return self._decode(next(csv.reader(lines, strict=True)))

    def whole(self, rest: bytes) -> bool:
        """Whether a line ends outside of quotes."""
        return any(b"\n" in part for part in rest.split(b'"')[::2])

    def _decode(self, row: list[str]) -> Prediction:
        boxes = scores = None
        if self._boxes:
            *row, places = row
            if not row[-1]:  # an answer, perhaps without any
                boxes, scores = from_string(places)
        file, decision, predicted, score, *numbers, status, error = row
        given = zip(self._classes, numbers, strict=True)
        probabilities = {name: float(number) for name, number in given if number}
        return Prediction(
            file,
            predicted,
            decision,
            float(score) if score else None,
            probabilities,
            abstained=decision in ("REFER", "REJECTED"),
            status=status,
            error=error,
            boxes=boxes,
            box_scores=scores,
        )


class JsonLines:
    """One JSON object a line, as `Prediction.to_dict` gives it."""

    def header(self) -> bytes:
        """There is none."""
        return b""

    def encode(self, answer: Prediction) -> bytes:
        """One line of ASCII."""
        return json.dumps(answer.to_dict()).encode("ascii") + b"\n"

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, Prediction]]:
        """Each whole line."""
        end = 0
        for line in file:
            try:
                facts = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                return
            if not isinstance(facts, dict) or "file" not in facts:
                return
            end += len(line)
            yield end, _prediction(facts)

    def decode(self, file: IO[bytes]) -> Prediction:
        """The line at which a file stands."""
        return _prediction(json.loads(file.readline()))

    def whole(self, rest: bytes) -> bool:
        """Whether a line ends."""
        return b"\n" in rest


class ResultFile:
    """A file of answers that grows by whole records; one process at a time writes it.

    Args:
      path: of the file.
      form: how answers are written.
      resume: go on with a file that is there; else such a file is an error.

    Attributes:
      done: how often each file name has an answer already.

    Raises:
      PneumoError: it is there and `resume` was not asked for, is of another form, is damaged before
        its end, is in use, or cannot be written.
    """

    def __init__(self, path: Path, form: Format, resume: bool) -> None:
        self.path, self._form = path, form
        self.done: Counter[str] = Counter()
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._fd = os.open(path, flags | (0 if resume else os.O_EXCL), 0o644)
        except FileExistsError:
            raise PneumoError(
                f"{path} is there already; add --resume to go on with it, or give another name"
            ) from None
        except OSError as error:
            raise PneumoError(f"{path} cannot be written: {error.strerror}") from error
        if not take_lock(self._fd):
            os.close(self._fd)
            raise PneumoError(f"{path} is being written by another run; wait for it")
        try:
            self._go_on()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.fsync(self._fd)
        os.close(self._fd)

    def write(self, answer: Prediction) -> None:
        """Appends one answer, in one write: a killed process leaves it whole or not at all.

        Raises:
          PneumoError: the disk is full, or the like.
        """
        self._append(self._form.encode(answer))

    def answers(self) -> Iterator[Prediction]:
        """All answers in the file, read one after the other."""
        with self.path.open("rb") as file:
            for _, answer in self._form.records(file):
                yield answer

    def placed(self) -> Iterator[tuple[int, Prediction]]:
        """Where each answer starts, in bytes, and the answer."""
        start = len(self._form.header())
        with self.path.open("rb") as file:
            for end, answer in self._form.records(file):
                yield start, answer
                start = end

    def at(self, starts: Iterable[int]) -> Iterator[Prediction]:
        """The answers that start there, in that order; one at a time is held."""
        with self.path.open("rb") as file:
            for start in starts:
                file.seek(start)
                yield self._form.decode(file)

    def _go_on(self) -> None:
        """Checks what is there, drops a torn last record, writes a missing header."""
        header = self._form.header()
        size = os.fstat(self._fd).st_size
        with self.path.open("rb") as file:
            found = file.read(len(header))
            if header.startswith(found) and len(found) < len(header):
                os.ftruncate(self._fd, 0)  # new, or killed before its first line was whole
                self._append(header)
                return
            if found != header:
                columns = header.decode("utf-8", "replace").strip()
                raise PneumoError(
                    f"{self.path} has other columns than {columns}; it is not a result of this "
                    "model, give another name"
                )
            file.seek(0)
            end = len(header)
            for end, answer in self._form.records(file):  # noqa: B007
                self.done[answer.file] += 1
            file.seek(end)
            rest = file.read(size - end)
        if len(rest) > _TORN or self._form.whole(rest):
            raise PneumoError(
                f"{self.path} is damaged from byte {end} on; keep what stands before it "
                f"(`head -c {end}`) and go on with that"
            )
        os.ftruncate(self._fd, end)

    def _append(self, record: bytes) -> None:
        view = memoryview(record)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise PneumoError(f"{self.path} cannot be written: {error.strerror}") from error


def form_of(name: str, classes: Sequence[str], boxes: bool = False) -> Format:
    """The format of that name, "csv" or "json"; boxes are a column of CSV where asked for."""
    return cast(Format, Csv(classes, boxes) if name == "csv" else JsonLines())


def to_string(answer: Prediction) -> str:
    """Boxes as "score x y width height" one after the other; "" for none."""
    parts: list[float] = []
    for (y0, x0, y1, x1), score in zip(answer.boxes or [], answer.box_scores or [], strict=True):
        parts += [score, x0, y0, x1 - x0, y1 - y0]
    return " ".join(f"{part:.6g}" for part in parts)


def from_string(text: str) -> tuple[list[list[float]], list[float]]:
    """Boxes (ymin, xmin, ymax, xmax) and scores of what `to_string` wrote.

    Raises:
      ValueError: not five numbers for each box.
    """
    numbers = [float(part) for part in text.split()]
    rows = list(zip(*[iter(numbers)] * 5, strict=True))
    return [[y, x, y + h, x + w] for _, x, y, w, h in rows], [row[0] for row in rows]


def _prediction(facts: dict[str, Any]) -> Prediction:
    known = {key: facts[key] for key in Prediction.__dataclass_fields__ if key in facts}
    return Prediction(**known)


def csv_row(values: Sequence[Any]) -> bytes:
    """One line of CSV, with its end."""
    out = io.StringIO()
    # The end of line that makes the writer quote both of its characters; a bare "\n" is written.
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return (out.getvalue()[:-2] + "\n").encode("utf-8", "surrogateescape")
