"""Images as a server saw them: measures, answers, and features of some."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from components.monitor.options import NUMBERS, WORDS
from schema.errors import PneumoError

OK = "OK"


@dataclass
class Seen:
    """Columns of n images; a measure that is not known of an image is NaN.

    Attributes:
      numbers: of options.NUMBERS, float64 [n] each; NaN for rejected images.
      words: of options.WORDS, str [n] each; empty where not known.
      patient: str [n]; empty where not known.
      embedding: float32 [k, d] of some images; d 0 where there are none.
      embedded: indices of those, int64 [k].
      versions: of the model that answered.
      times: first and last, seconds since 1970; none where not known.
      notes: lines about what was left out.
    """

    numbers: dict[str, np.ndarray]
    words: dict[str, np.ndarray]
    patient: np.ndarray
    embedding: np.ndarray
    embedded: np.ndarray
    versions: list[str] = field(default_factory=list)
    times: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def usable(self) -> int:
        """Images that were not rejected."""
        return sum(status.startswith(OK) for status in self.words["status"].tolist())


def from_rows(rows: Iterable[Mapping[str, Any]]) -> Seen:
    """Columns of rows with the keys of a log; keys may be missing.

    Raises:
      PneumoError: embeddings of different lengths.
    """
    numbers: dict[str, list[float]] = {name: [] for name in NUMBERS}
    words: dict[str, list[str]] = {name: [] for name in WORDS}
    patients: list[str] = []
    embeddings: list[np.ndarray] = []
    embedded: list[int] = []
    versions: set[str] = set()
    times: list[float] = []
    for i, row in enumerate(rows):
        # "TRUNCATED: 31 bytes are missing" is one kind of rejection, not one of its own.
        status = str(row.get("status") or OK).split(":")[0]
        for name in NUMBERS:
            value = row.get(name) if status == OK else None
            numbers[name].append(math.nan if value is None else float(value))
        words["status"].append(status)
        words["decision"].append(str(row.get("decision") or "") if status == OK else "")
        patients.append(str(row.get("patient") or ""))
        if row.get("version") is not None:
            versions.add(str(row["version"]))
        if row.get("time") is not None:
            times.append(float(row["time"]))
        if status == OK and row.get("embedding") is not None:
            embeddings.append(np.asarray(row["embedding"], np.float32))
            embedded.append(i)
    widths = {vector.shape for vector in embeddings}
    if len(widths) > 1:
        raise PneumoError(
            "the log holds embeddings of different lengths, of different models; give the lines "
            "of one version"
        )
    return Seen(
        {name: np.array(values, np.float64) for name, values in numbers.items()},
        {name: np.array(values, str) for name, values in words.items()},
        np.array(patients, str),
        np.stack(embeddings) if embeddings else np.zeros((0, 0), np.float32),
        np.array(embedded, np.int64),
        sorted(versions),
        (min(times), max(times)) if times else None,
    )


def log_files(path: Path) -> list[Path]:
    """The log itself, or the logs of a folder; none where it holds no .jsonl file."""
    if path.is_file():
        return [path] if path.suffix in (".jsonl", ".log", ".json") else []
    return sorted(path.rglob("*.jsonl"))


def read_logs(files: Iterable[Path]) -> Seen:
    """Reads JSON lines of `pneumo serve --log-inputs`.

    A last line that is cut short is left out: the server may be writing it.

    Raises:
      PneumoError: a line is no JSON object, or a value is of the wrong kind.
    """
    notes: list[str] = []
    seen = from_rows(_lines(files, notes))
    seen.notes += notes
    return seen


def _lines(files: Iterable[Path], notes: list[str]) -> Iterator[dict[str, Any]]:
    for file in files:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    _check(row)
                except ValueError as error:
                    if not line.endswith(b"\n"):
                        notes.append(f"{file.name}: the last line is cut short; left out")
                        continue
                    raise PneumoError(
                        f"{file}, line {number}: not a line of `pneumo serve --log-inputs` "
                        f"({error})"
                    ) from None
                yield row


def _check(row: Any) -> None:
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    if not row.keys() & {*NUMBERS, *WORDS}:
        raise ValueError("none of its keys is known")
    for name in (*NUMBERS, "time"):
        value = row.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name} is no number")
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name} is not finite")
    for name in WORDS:
        if row.get(name) is not None and not isinstance(row[name], str):
            raise ValueError(f"{name} is no text")
    vector = row.get("embedding")
    if vector is not None and (
        not isinstance(vector, list)
        or not vector
        or not all(isinstance(v, int | float) and math.isfinite(v) for v in vector)
    ):
        raise ValueError("embedding is no list of numbers")
