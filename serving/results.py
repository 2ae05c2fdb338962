"""Answers in a file: CSV, or JSON a line; a killed run leaves whole lines, and the next goes on."""

import csv
import fcntl
import io
import json
import mmap
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, cast

from schema.errors import PneumoError
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

    def whole(self, rest: bytes) -> bool:
        """Whether a record seems to end in these bytes, which are none that could be read."""


class Csv:
    """One row an answer: file, decision, predicted, score, p_CLASS for each class, status,
    error.

    Args:
      classes: names in the order of the columns.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = list(classes)
        self._columns = [*_FIXED, *(f"p_{name}" for name in classes), "status", "error"]

    def header(self) -> bytes:
        """Names of the columns."""
        return _row(self._columns)

    def encode(self, answer: Prediction) -> bytes:
        """One row."""
        numbers = [answer.probabilities.get(name, "") for name in self._classes]
        score = "" if answer.score is None else answer.score
        fixed = [answer.file, answer.decision, answer.predicted, score]
        return _row([*fixed, *numbers, answer.status, answer.error])

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

    def whole(self, rest: bytes) -> bool:
        """Whether a line ends outside of quotes."""
        return any(b"\n" in part for part in rest.split(b'"')[::2])

    def _decode(self, row: list[str]) -> Prediction:
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
            known = {key: facts[key] for key in Prediction.__dataclass_fields__ if key in facts}
            yield end, Prediction(**known)

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
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise PneumoError(f"{path} is being written by another run; wait for it") from None
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

    def sort(self, rank: Any) -> None:
        """Puts the records in the order of `rank(answer)`, atomically.

        Holds a rank and a place for each record, not the records.
        """
        header = len(self._form.header())
        ranked: list[tuple[Any, int, int]] = []
        with self.path.open("rb") as file:
            start = header
            for end, answer in self._form.records(file):
                ranked.append((rank(answer), start, end))
                start = end
        if not ranked:
            return
        ranked.sort()
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with self.path.open("rb") as file, partial.open("wb") as out:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    out.write(view[:header])
                    for _, start, end in ranked:
                        out.write(view[start:end])
                out.flush()
                os.fsync(out.fileno())
            os.replace(partial, self.path)  # noqa: PTH105  atomic, over the old one
        finally:
            partial.unlink(missing_ok=True)

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


def form_of(name: str, classes: Sequence[str]) -> Format:
    """The format of that name, "csv" or "json"."""
    return cast(Format, Csv(classes) if name == "csv" else JsonLines())


def urgency(answer: Prediction) -> tuple[int, float, str]:
    """Rank in a worklist: what the model abstained on, then by falling score, then the rejected."""
    if answer.error:
        return 2, 0.0, answer.file
    return 0 if answer.decision == "REFER" else 1, -(answer.score or 0.0), answer.file


def _row(values: Sequence[Any]) -> bytes:
    out = io.StringIO()
    # The end of line that makes the writer quote both of its characters; a bare "\n" is written.
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return (out.getvalue()[:-2] + "\n").encode("utf-8", "surrogateescape")
