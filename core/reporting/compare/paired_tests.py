"""Paired significance tests between configurations on the same test images."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.metrics.paired import delong_clustered, mcnemar_clustered
from core.reporting.compare.binary_problems import BinaryPredictions


def compare_accuracy(
    correct: Mapping[str, np.ndarray], patient: np.ndarray
) -> list[dict[str, Any]]:
    """Tests each pair of configurations by McNemar, clustered by patient, corrected by Holm.

    Args:
      correct: configuration -> which predictions are correct, bool [n].
      patient: str [n].

    Returns:
      rows of `a`, `b`, `difference` (accuracy of a minus that of b), two-sided `p`, `p_holm`,
      `only_a` and `only_b`: images that only one of the two predicts correctly.
    """
    rows: list[dict[str, Any]] = []
    for a, b in itertools.combinations(correct, 2):
        test = mcnemar_clustered(correct[a], correct[b], patient)
        rows.append(
            {
                "a": a,
                "b": b,
                "difference": test.difference,
                "p": test.p,
                "only_a": test.only_a,
                "only_b": test.only_b,
            }
        )
    return _with_holm(rows)


def compare_predictions(predictions: Mapping[str, BinaryPredictions]) -> list[dict[str, Any]]:
    """Tests AUC (DeLong) and accuracy (McNemar) of each pair of configurations.

    Both tests are clustered by patient and corrected by Holm.

    Returns:
      rows of `a`, `b`, `auc` and `accuracy` (each with `difference`, `p`, `p_holm`), `only_a`,
      `only_b`; see `compare_accuracy`.
    """
    first = next(iter(predictions.values()))
    areas = []
    for a, b in itertools.combinations(predictions.values(), 2):
        test = delong_clustered(a.label, a.score, b.score, a.patient)
        areas.append({"difference": test.difference, "p": test.p})
    correct = {name: p.predicted_positive == p.label for name, p in predictions.items()}
    return [
        {
            "a": row["a"],
            "b": row["b"],
            "auc": area,
            "accuracy": {name: row[name] for name in ("difference", "p", "p_holm")},
            "only_a": row["only_a"],
            "only_b": row["only_b"],
        }
        for area, row in zip(
            _with_holm(areas), compare_accuracy(correct, first.patient), strict=True
        )
    ]


def holm(p: Sequence[float]) -> list[float]:
    """Corrects several p values (Holm 1979, Scand. J. Stat. 6); NaN stays and does not count."""
    values = np.asarray(p, np.float64)
    corrected = np.full(len(values), np.nan)
    defined = np.flatnonzero(np.isfinite(values))
    order = defined[np.argsort(values[defined], kind="stable")]
    steps = np.minimum(1.0, values[order] * np.arange(len(order), 0, -1))
    corrected[order] = np.maximum.accumulate(steps)
    return [float(value) for value in corrected]


def _with_holm(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    corrected = holm([row["p"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, corrected, strict=True)]
