"""Worklists of predictions: what a person reads first, then by urgency, then what was rejected."""

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


def list_of(prediction: Prediction) -> int:
    """Index in `LISTS`: abstained, scored or rejected."""
    if prediction.error:
        return REJECTED
    return READ_FIRST if prediction.decision == "REFER" else BY_URGENCY


def urgency(prediction: Prediction) -> tuple[int, float]:
    """Sort key of a worklist: the list, then falling score."""
    score = 0.0 if prediction.error else prediction.score or 0.0
    return list_of(prediction), -score


def check_worklist(path: Path, replace: bool) -> None:
    """Checks the name of a worklist before anything is predicted.

    Raises:
      PneumoError: unknown suffix, a file that exists and must stay, or a missing folder.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise PneumoError(f"worklist {path} is neither CSV nor JSON: name it .csv or .json")
    if path.exists() and not replace:
        raise PneumoError(f"{path} exists; give another name, or add --resume")
    if not path.parent.is_dir():
        raise PneumoError(f"{path} cannot be written: no folder {path.parent}")


def write_worklist(results: ResultFile, path: Path, notice: str) -> None:
    """Writes the worklist of a result file, atomically; of equal scores the earlier is first.

    Holds a sort key of each prediction in memory, not the predictions.

    Args:
      results: predictions in any order.
      path: .csv or .json; replaced if it exists.
      notice: a line for the reader; CSV has no place for it.

    Raises:
      PneumoError: it cannot be written.
    """
    order = sorted((*urgency(prediction), start) for start, prediction in results.located())
    ordered = ((which, results.read_at(start)) for which, _, start in order)
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
    for which, group in groupby(ordered, key=itemgetter(0)):
        for place, (_, found) in enumerate(group, 1):
            score = "" if found.score is None else found.score
            cells = [found.file, found.decision, found.predicted, score, found.error]
            yield csv_row([LISTS[which], place, *cells])


def _json(ordered: Iterable[tuple[int, Prediction]], notice: str) -> Iterator[bytes]:
    """One object with three lists; each prediction on a line of its own."""
    yield b'{"notice": ' + json.dumps(notice).encode("ascii")
    groups = groupby(ordered, key=itemgetter(0))
    which, group = next(groups, (None, iter(())))
    for index, name in enumerate(LISTS):
        yield f',\n"{name}": ['.encode("ascii")
        if which == index:
            for place, (_, found) in enumerate(group, 1):
                row = json.dumps({"place": place, **found.to_dict()}).encode("ascii")
                yield (b",\n" if place > 1 else b"\n") + row
            which, group = next(groups, (None, iter(())))
        yield b"]"
    yield b"}\n"
