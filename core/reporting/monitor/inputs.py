"""Inputs of a server as columns, read from the log of `pneumo serve`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.reporting.monitor.options import MEASURES, NUMBERS, WORDS
from schema.errors import PneumoError

if TYPE_CHECKING:
    import pandas as pd

OK = "OK"


class LogLine(BaseModel):
    """One image in the log; other keys are ignored."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    time: float | None = None
    version: str | int | None = None
    height: float | None = None
    width: float | None = None
    brightness: float | None = None
    score: float | None = None
    decision: str | None = None
    status: str | None = None
    patient: str | None = None
    embedding: Annotated[list[float], Field(min_length=1)] | None = None


@dataclass
class LoggedInputs:
    """Images that a server has processed.

    Attributes:
      table: a row for each image: `options.NUMBERS` (NaN if unknown or rejected), `options.WORDS`
        and `patient` (empty if unknown).
      embedding: float32 [k, d] of some images; d is 0 without any.
      embedded: rows of these, int64 [k].
      versions: of the model.
      times: first and last, seconds since 1970; None if unknown.
      notes: remarks about what was left out.
    """

    table: "pd.DataFrame"
    embedding: np.ndarray
    embedded: np.ndarray
    versions: list[str] = field(default_factory=list)
    times: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def usable(self) -> int:
        """Number of images that were not rejected."""
        return int((self.table["status"] == OK).sum())

    @property
    def patients(self) -> np.ndarray:
        """Patients of the embedded images, str [k]."""
        return self.table["patient"].to_numpy(str)[self.embedded]


def from_rows(rows: Iterable[Mapping[str, Any]]) -> LoggedInputs:
    """Collects rows with the keys of `LogLine`; any may be missing.

    Raises:
      PneumoError: embeddings of different lengths.
    """
    import pandas as pd

    kept: list[list[Any]] = []
    embedded: dict[int, np.ndarray] = {}
    versions: set[str] = set()
    times: list[float] = []
    for i, row in enumerate(rows):
        # "TRUNCATED: 31 bytes are missing" is counted as "TRUNCATED".
        status = str(row.get("status") or OK).split(":")[0]
        known = row if status == OK else {}
        decision = known.get("decision") or ""
        kept.append([*map(known.get, NUMBERS), decision, status, row.get("patient") or ""])
        if row.get("version") is not None:
            versions.add(str(row["version"]))
        if row.get("time") is not None:
            times.append(float(row["time"]))
        if known.get("embedding") is not None:
            embedded[i] = np.asarray(row["embedding"], np.float32)
    if len({vector.shape for vector in embedded.values()}) > 1:
        raise PneumoError(
            "the log has embeddings of different lengths, from different models: use the lines of "
            "one version"
        )
    table = pd.DataFrame(kept, columns=[*MEASURES, "patient"])
    return LoggedInputs(
        table.astype({**dict.fromkeys(NUMBERS, np.float64), **dict.fromkeys(WORDS, object)}),
        np.stack([*embedded.values()]) if embedded else np.zeros((0, 0), np.float32),
        np.array([*embedded], np.int64),
        sorted(versions),
        (min(times), max(times)) if times else None,
    )


def read_logs(files: Iterable[Path]) -> LoggedInputs:
    """Reads JSON lines of `pneumo serve --log-inputs`.

    An incomplete last line is left out: the server may be writing it.

    Raises:
      PneumoError: a line is not JSON, or a value has the wrong type.
    """
    notes: list[str] = []
    found = from_rows(_lines(files, notes))
    found.notes += notes
    return found


def _lines(files: Iterable[Path], notes: list[str]) -> Iterator[dict[str, Any]]:
    for file in files:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    row = LogLine.model_validate_json(line)
                except ValidationError as error:
                    if not line.endswith(b"\n"):
                        notes.append(f"{file.name}: the last line is incomplete; left out")
                        continue
                    first = error.errors()[0]
                    where = ".".join(map(str, first["loc"][:1]))
                    raise _bad_line(file, number, f"{where}: {first['msg']}") from None
                if not row.model_fields_set & {*MEASURES}:
                    raise _bad_line(file, number, f"none of the keys {', '.join(MEASURES)}")
                yield dict(row)


def _bad_line(file: Path, number: int, why: str) -> PneumoError:
    return PneumoError(
        f"{file}, line {number}: not a line of `pneumo serve --log-inputs` ({why.lstrip(': ')})"
    )
