"""Answers as a list to work through: what a person has to read first, then by urgency.

Three lists, one after the other: what the model abstained on, then what it answered, both by
falling probability of the finding, then what it could not read, with the reason.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from schema.errors import PneumoError
from serving.answer import Prediction
from serving.results import ResultFile, csv_row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READ_FIRST, BY_URGENCY, REJECTED = range(3)
LISTS: Final = ("read_first", "by_urgency", "rejected")
COLUMNS: Final = ("list", "place", "file", "decision", "predicted", "score", "reason")
SUFFIXES: Final = (".csv", ".json")


def list_of(answer: Prediction) -> int:
    """Which of `LISTS` an answer stands in."""
    if answer.error:
        return REJECTED
    return READ_FIRST if answer.decision == "REFER" else BY_URGENCY


def urgency(answer: Prediction) -> tuple[int, float, str]:
    """Rank in a worklist: its list, then falling score, then the name."""
    score = 0.0 if answer.error else answer.score or 0.0
    return list_of(answer), -score, answer.file


def check_worklist(path: Path, replace: bool) -> None:
    """Finds a wrong name before anything is asked.

    Raises:
      PneumoError: another suffix than .csv or .json, a file that is there and must stay, or no
        folder to write it in.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise PneumoError(f"worklist {path} is CSV or JSON: name it .csv or .json")
    if path.exists() and not replace:
        raise PneumoError(f"{path} is there already; give another name, or go on with --resume")
    if not path.parent.is_dir():
        raise PneumoError(f"{path} cannot be written: no folder {path.parent}")


def write_worklist(answers: ResultFile, path: Path, notice: str) -> None:
    """Writes the worklist of a file of answers, atomically; of equal scores the earlier is first.

    Holds three numbers for each answer (21 bytes), never the answers.

    Args:
      answers: in any order.
      path: .csv or .json; replaced where it is there.
      notice: a line for those who read it; CSV has no place for it.

    Raises:
      PneumoError: it cannot be written.
    """
    lists, order = _sorted(answers)
    lines = _csv if path.suffix.lower() == ".csv" else _json
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as out:
            out.writelines(lines(answers, lists, order, notice))
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        raise PneumoError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _sorted(answers: ResultFile) -> "tuple[NDArray[np.uint8], NDArray[np.int64]]":
    """List and start of each answer, in the order of the worklist."""
    from array import array

    import numpy as np

    lists, scores, starts = array("B"), array("d"), array("q")
    for start, answer in answers.placed():
        place, score, _ = urgency(answer)
        lists.append(place)
        scores.append(score)
        starts.append(start)
    order = np.lexsort((np.asarray(starts), np.asarray(scores), np.asarray(lists)))
    return np.asarray(lists)[order], np.asarray(starts)[order]


def _in_order(
    answers: ResultFile, lists: "NDArray[np.uint8]", starts: "NDArray[np.int64]"
) -> Iterator[tuple[int, int, Prediction]]:
    """List, place in it from 1, and answer."""
    place, before = 0, -1
    for which, answer in zip(lists, answers.at(int(start) for start in starts), strict=True):
        place = place + 1 if which == before else 1
        before = which
        yield int(which), place, answer


def _csv(
    answers: ResultFile, lists: "NDArray[np.uint8]", starts: "NDArray[np.int64]", notice: str
) -> Iterator[bytes]:
    del notice
    yield csv_row(COLUMNS)
    for which, place, answer in _in_order(answers, lists, starts):
        score = "" if answer.score is None else answer.score
        told = [answer.file, answer.decision, answer.predicted, score, answer.error]
        yield csv_row([LISTS[which], place, *told])


def _json(
    answers: ResultFile, lists: "NDArray[np.uint8]", starts: "NDArray[np.int64]", notice: str
) -> Iterator[bytes]:
    """One object with three lists; an answer has a line of its own."""
    yield b'{"notice": ' + json.dumps(notice).encode("ascii")
    rows = _in_order(answers, lists, starts)
    row: tuple[int, int, Prediction] | None = next(rows, None)
    for which, name in enumerate(LISTS):
        yield f',\n"{name}": ['.encode("ascii")
        while row is not None and row[0] == which:
            facts: dict[str, Any] = {"place": row[1], **row[2].to_dict()}
            comma = b"," if row[1] > 1 else b""
            yield comma + b"\n" + json.dumps(facts).encode("ascii")
            row = next(rows, None)
        yield b"]"
    yield b"}\n"
