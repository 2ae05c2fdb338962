"""Ranks configurations by shifted validation, beside ordinary validation."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.metrics.paired import delong_folds
from core.metrics.registry import SHIFTED
from core.predictions.metrics import score_intervals
from core.reporting.compare.paired_tests import holm
from core.reporting.compare.runs import FinishedRun
from core.reporting.format import intervals


def validation_results(
    runs: Sequence[FinishedRun], resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Ranks the configurations that solve the same problem on the validation split.

    Args:
      runs: configurations that have finished.
      resamples: of the bootstrap of ordinary validation; the Trainer computes that of the folds.
      seed: of the same.

    Returns:
      groups of `title`, `images`, `patients`, `folds` (names) and `leaderboard`: rows of `name`,
      `validation` and `shifted` (name -> interval; None without folds), `against_best` (`best`,
      `difference` of the mean AUC over folds, `low`, `high`, `p`, `p_holm`; None for the first row
      and without the same folds). Best AUC on shifted validation first, then those without it, best
      AUC on validation first.
    """
    groups: dict[bytes, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(run.val.positive.tobytes(), []).append(run)
    return [_group(group, resamples, seed) for group in groups.values()]


def _group(group: Sequence[FinishedRun], resamples: int, seed: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "name": run.name,
            "shifted": run.shifted.results["mean"]["metrics"] if run.shifted else None,
            "validation": intervals(score_intervals(run.val, resamples, seed), SHIFTED),
            "shifted_auc": run.shifted.auc if run.shifted else math.nan,
            "against_best": None,
        }
        for run in group
    ]
    rows.sort(
        key=lambda row: tuple(
            -np.nan_to_num(value, nan=-1.0)
            for value in (row["shifted_auc"], row["validation"]["auc"]["estimate"])
        )
    )
    shifted = {run.name: run.shifted for run in group}
    best, tested = rows[0], []
    for row in rows[1:]:
        first, other = shifted[best["name"]], shifted[row["name"]]
        if first is None or other is None or not first.same_images(other):
            continue
        test = delong_folds(first.positive, other.score, first.score, first.fold, first.patient)
        row["against_best"] = {
            "best": best["name"],
            "difference": test.difference,
            "low": test.difference - 1.96 * test.se,
            "high": test.difference + 1.96 * test.se,
            "p": test.p,
        }
        tested.append(row["against_best"])
    for one, corrected in zip(tested, holm([one["p"] for one in tested]), strict=True):
        one["p_holm"] = corrected
    labeled, task = group[0].val.with_binary_label(), group[0].val.task
    names = [" or ".join(task.classes[i] for i in side) for side in (task.positive, task.negative)]
    first = shifted[best["name"]]
    return {
        "title": " against ".join(names),
        "images": len(labeled),
        "patients": len(set(labeled.patient.tolist())),
        "folds": [fold["name"] for fold in first.results["folds"]] if first else [],
        "leaderboard": rows,
    }
