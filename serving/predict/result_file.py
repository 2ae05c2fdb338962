"""Files of predictions, as CSV or JSON lines, to which an interrupted run can append."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from schema.errors import PneumoError
from schema.files import try_lock
from serving.predict.prediction import Prediction

_MAX_RECORD = 1 << 16  # bytes
_FIXED = ("file", "decision", "predicted", "score")


class RecordFormat(Protocol):
    """Encodes predictions as records and decodes them."""

    def header(self) -> bytes:
        """Returns the bytes before the first record."""

    def encode(self, prediction: Prediction) -> bytes:
        """Returns one record with its end of line."""

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, Prediction]]:
        """Yields size in bytes and prediction of each complete record from the current position."""


class CsvFormat:
    """CSV with one row per prediction.

    Columns: file, decision, predicted, score, p_CLASS for each class, status, error; for a
    localization model also boxes, each as "score x y width height" in pixels (the prediction string
    of the RSNA challenge).

    Args:
      classes: class names in the order of the columns.
      boxes: whether there is a column of boxes.
    """

    def __init__(self, classes: Sequence[str], boxes: bool = False) -> None:
        self._classes, self._boxes = list(classes), boxes
        self._columns = [*_FIXED, *(f"p_{name}" for name in classes), "status", "error"]
        self._columns += ["boxes"] if boxes else []

    def header(self) -> bytes:
        """Returns the names of the columns."""
        return csv_row(self._columns)

    def encode(self, prediction: Prediction) -> bytes:
        """Returns one row."""
        score = "" if prediction.score is None else prediction.score
        fixed = [prediction.file, prediction.decision, prediction.predicted, score]
        numbers = [prediction.probabilities.get(name, "") for name in self._classes]
        boxes = [boxes_to_string(prediction)] if self._boxes else []
        return csv_row([*fixed, *numbers, prediction.status, prediction.error, *boxes])

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, Prediction]]:
        """Yields each complete row; a file name may contain line feeds."""
        size = 0

        def lines() -> Iterator[str]:
            nonlocal size
            for line in file:
                if not line.endswith(b"\n"):
                    return
                size += len(line)
                yield line.decode("utf-8", "surrogateescape")

        try:
            for row in csv.reader(lines(), strict=True):
                yield size, self._decode(row)
                size = 0
        except (csv.Error, ValueError):
            return  # an incomplete record

    def _decode(self, row: list[str]) -> Prediction:
        cells = dict(zip(self._columns, row, strict=True))
        boxes = scores = None
        if self._boxes and not cells["error"]:  # a prediction, perhaps without any
            boxes, scores = boxes_from_string(cells["boxes"])
        numbers = {name: cells[f"p_{name}"] for name in self._classes}
        return Prediction(
            cells["file"],
            cells["predicted"],
            cells["decision"],
            float(cells["score"]) if cells["score"] else None,
            {name: float(number) for name, number in numbers.items() if number},
            abstained=cells["decision"] in ("REFER", "REJECTED"),
            status=cells["status"],
            error=cells["error"],
            boxes=boxes,
            box_scores=scores,
        )


class JsonLinesFormat:
    """One JSON object per line, as returned by `Prediction.to_dict`."""

    def header(self) -> bytes:
        """Returns nothing."""
        return b""

    def encode(self, prediction: Prediction) -> bytes:
        """Returns one line of ASCII."""
        return json.dumps(prediction.to_dict()).encode("ascii") + b"\n"

    def records(self, file: IO[bytes]) -> Iterator[tuple[int, Prediction]]:
        """Yields each complete line."""
        for line in file:
            try:
                prediction = Prediction(**json.loads(line))
            except (ValueError, TypeError):
                return
            if not line.endswith(b"\n"):
                return
            yield len(line), prediction


class ResultFile:
    """A file of predictions, appended record by record by one process at a time.

    Args:
      path: of the file.
      form: format of the records.
      resume: append to an existing file, which is an error otherwise.

    Attributes:
      done: number of predictions for each file name.

    Raises:
      PneumoError: the file exists and `resume` is false, has another format, is damaged before its
        end, is in use, or cannot be written.
    """

    def __init__(self, path: Path, form: RecordFormat, resume: bool) -> None:
        self.path, self._form = path, form
        self.done: Counter[str] = Counter()
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._fd = os.open(path, flags | (0 if resume else os.O_EXCL), 0o644)
        except FileExistsError:
            raise PneumoError(
                f"{path} exists; add --resume to append to it, or choose another output file"
            ) from None
        except OSError as error:
            raise PneumoError(f"{path} cannot be written: {error.strerror}") from error
        try:
            if not try_lock(self._fd):
                raise PneumoError(f"{path} is being written by another run; wait for it")
            self._resume()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.fsync(self._fd)
        os.close(self._fd)

    def write(self, prediction: Prediction) -> None:
        """Appends one record in one write, so that a killed process leaves no part of it.

        Raises:
          PneumoError: it cannot be written.
        """
        self._append(self._form.encode(prediction))

    def predictions(self) -> Iterator[Prediction]:
        """Yields all predictions of the file."""
        return (prediction for _, prediction in self.with_offsets())

    def with_offsets(self) -> Iterator[tuple[int, Prediction]]:
        """Yields the offset of each record in bytes, and its prediction."""
        start = len(self._form.header())
        with self.path.open("rb") as file:
            file.seek(start)
            for size, prediction in self._form.records(file):
                yield start, prediction
                start += size

    def read_at(self, start: int) -> Prediction:
        """Returns the prediction of the record at an offset."""
        with self.path.open("rb") as file:
            file.seek(start)
            return next(self._form.records(file))[1]

    def _resume(self) -> None:
        """Checks the content, drops an incomplete last record, writes a missing header."""
        header = self._form.header()
        with self.path.open("rb") as file:
            start = file.read(len(header))
            if header.startswith(start) and len(start) < len(header):
                os.ftruncate(self._fd, 0)  # new, or killed before the header was complete
                self._append(header)
                return
            if start != header:
                columns = header.decode("utf-8", "replace").strip()
                raise PneumoError(
                    f"{self.path} does not have the columns {columns} of this model; "
                    "choose another output file"
                )
            end = len(header)
            for size, prediction in self._form.records(file):
                self.done[prediction.file] += 1
                end += size
            file.seek(end)
            rest = file.read(_MAX_RECORD + 1)
        # An incomplete record has no end of line, except within the quotes of a file name.
        if len(rest) > _MAX_RECORD or any(b"\n" in part for part in rest.split(b'"')[::2]):
            raise PneumoError(
                f"{self.path} is damaged from byte {end} on; keep the bytes before it "
                f"(`head -c {end}`) and resume"
            )
        os.ftruncate(self._fd, end)

    def _append(self, record: bytes) -> None:
        view = memoryview(record)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise PneumoError(f"{self.path} cannot be written: {error.strerror}") from error


def record_format(name: str, classes: Sequence[str], boxes: bool = False) -> RecordFormat:
    """Returns the format "csv", optionally with a column of boxes, or "json"."""
    return CsvFormat(classes, boxes) if name == "csv" else JsonLinesFormat()


def boxes_to_string(prediction: Prediction) -> str:
    """Formats boxes as "score x y width height", separated by spaces; "" for no boxes."""
    parts: list[float] = []
    pairs = zip(prediction.boxes or [], prediction.box_scores or [], strict=True)
    for (y0, x0, y1, x1), score in pairs:
        parts += [score, x0, y0, x1 - x0, y1 - y0]
    return " ".join(f"{part:.6g}" for part in parts)


def boxes_from_string(text: str) -> tuple[list[list[float]], list[float]]:
    """Parses boxes (ymin, xmin, ymax, xmax) and scores; inverse of `boxes_to_string`.

    Raises:
      ValueError: not five numbers per box.
    """
    numbers = [float(part) for part in text.split()]
    rows = list(zip(*[iter(numbers)] * 5, strict=True))
    return [[y, x, y + h, x + w] for _, x, y, w, h in rows], [row[0] for row in rows]


def csv_row(values: Sequence[Any]) -> bytes:
    """Returns one line of CSV."""
    out = io.StringIO()
    # With "\r\n" the writer quotes both characters in cells; the row itself ends with "\n".
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return (out.getvalue()[:-2] + "\n").encode("utf-8", "surrogateescape")
