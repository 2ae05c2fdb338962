"""Worklists: referred images, then the others by falling score, then rejected images."""

import json
import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from schema.errors import PneumoError
from schema.files import atomic_file
from serving.predict.prediction import Prediction
from serving.predict.result_file import ResultFile, csv_row

READ_FIRST, BY_URGENCY, REJECTED = range(3)
LISTS: Final = ("read_first", "by_urgency", "rejected")
COLUMNS: Final = ("list", "place", "file", "decision", "predicted", "score", "reason")
SUFFIXES: Final = (".csv", ".json")


def worklist_section(prediction: Prediction) -> int:
    """Returns the index in `LISTS`: referred, scored or rejected."""
    if prediction.error:
        return REJECTED
    return READ_FIRST if prediction.decision == "REFER" else BY_URGENCY


def urgency(prediction: Prediction) -> tuple[int, float]:
    """Returns the sort key of a worklist: section, then falling score."""
    score = 0.0 if prediction.error else prediction.score or 0.0
    return worklist_section(prediction), -score


def check_worklist(path: Path, replace: bool) -> None:
    """Checks the path of a worklist before prediction starts.

    Raises:
      PneumoError: unknown suffix, missing folder, or the file exists and `replace` is false.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise PneumoError(f"worklist {path} is neither CSV nor JSON: name it .csv or .json")
    if path.exists() and not replace:
        raise PneumoError(f"{path} exists; choose another name, or add --resume")
    if not path.parent.is_dir():
        raise PneumoError(f"{path} cannot be written: folder {path.parent} does not exist")


def write_worklist(results: ResultFile, path: Path, notice: str) -> None:
    """Writes the worklist of a result file atomically; equal scores keep their order.

    Keeps only a sort key per prediction in memory.

    Args:
      results: predictions in any order.
      path: .csv or .json; replaced if it exists.
      notice: line for the reader; not written to CSV.

    Raises:
      PneumoError: it cannot be written.
    """
    order = sorted((*urgency(prediction), start) for start, prediction in results.with_offsets())
    ordered = ((section, results.read_at(start)) for section, _, start in order)
    lines = _csv(ordered) if path.suffix.lower() == ".csv" else _json(ordered, notice)
    try:
        with atomic_file(path) as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise PneumoError(f"{path} cannot be written: {error.strerror}") from error


def _csv(ordered: Iterable[tuple[int, Prediction]]) -> Iterator[bytes]:
    yield csv_row(COLUMNS)
    for section, group in groupby(ordered, key=itemgetter(0)):
        for place, (_, row) in enumerate(group, 1):
            score = "" if row.score is None else row.score
            cells = [row.file, row.decision, row.predicted, score, row.reason]
            yield csv_row([LISTS[section], place, *cells])


def _json(ordered: Iterable[tuple[int, Prediction]], notice: str) -> Iterator[bytes]:
    """Yields one JSON object with three lists, one prediction per line."""
    yield b'{"notice": ' + json.dumps(notice).encode("ascii")
    groups = groupby(ordered, key=itemgetter(0))
    section, group = next(groups, (None, iter(())))
    for index, name in enumerate(LISTS):
        yield f',\n"{name}": ['.encode("ascii")
        if section == index:
            for place, (_, row) in enumerate(group, 1):
                line = json.dumps({"place": place, **row.to_dict()}).encode("ascii")
                yield (b",\n" if place > 1 else b"\n") + line
            section, group = next(groups, (None, iter(())))
        yield b"]"
    yield b"}\n"
