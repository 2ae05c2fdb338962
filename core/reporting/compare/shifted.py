"""Shifted validation of a finished run."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.predictions.table import SHIFTED
from core.reporting.run_outputs import read_json_object


@dataclass(frozen=True)
class ShiftedPredictions:
    """Scores of the folds, by fold and id.

    Attributes:
      results: content of `shifted_validation.json`.
      fold: int64 [n].
      sha256: str [n].
      patient: str [n].
      positive: int64 [n], 1 or 0.
      score: float64 [n].
    """

    results: dict[str, Any]
    fold: np.ndarray
    sha256: np.ndarray
    patient: np.ndarray
    positive: np.ndarray
    score: np.ndarray

    @property
    def auc(self) -> float:
        """Mean AUC over folds; NaN if undefined."""
        value = self.results["mean"]["metrics"]["auc"]["estimate"]
        return math.nan if value is None else float(value)

    def same_images(self, other: "ShiftedPredictions") -> bool:
        """Whether both have the same folds, images and labels."""
        columns = ("fold", "sha256", "positive")
        return all(np.array_equal(getattr(self, c), getattr(other, c)) for c in columns)


def read_shifted(model_run: Path) -> ShiftedPredictions | None:
    """Reads the output of the Trainer; None without a fold."""
    import pyarrow.parquet as pq

    results = read_json_object(model_run / "shifted_validation.json")
    if not results.get("folds"):
        return None
    names = ["fold", "sha256", "patient_id", "positive", "score"]
    table = pq.read_table(model_run / SHIFTED, columns=names, partitioning=None)
    rows = table.sort_by([("fold", "ascending"), ("sha256", "ascending")]).to_pydict()
    return ShiftedPredictions(
        results,
        np.array(rows["fold"], np.int64),
        np.array(rows["sha256"], str),
        np.array(rows["patient_id"], str),
        np.array(rows["positive"], np.int64),
        np.array(rows["score"], np.float64),
    )
