"""Results of a comparison: leaderboards, paired tests, disagreements and costs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.images.corruptions import LEVELS
from core.metrics.binary import bootstrap_binary_metrics, roc_auc_score
from core.metrics.registry import BOX_HEADLINE, CLASSES, COMPARED
from core.predictions.metrics import box_intervals, class_intervals
from core.predictions.predictions import SplitPredictions
from core.reporting.compare.binary_problems import (
    BinaryPredictions,
    BinaryProblem,
    binary_problems,
)
from core.reporting.compare.paired_tests import compare_accuracy, compare_predictions
from core.reporting.compare.runs import (
    EvaluatedRun,
    FinishedRun,
    cached_executions,
    cost,
    durations,
    evaluated,
)
from core.reporting.compare.validation import validation_results
from core.reporting.format import bootstrap_settings, intervals
from core.reporting.notices import DISCLAIMER, notices
from core.reporting.run_outputs import read_json_object
from schema.files import json_values

MAX_DISPUTED = 12


def comparison_results(
    runs: Sequence[FinishedRun],
    failed: Sequence[dict[str, str]],
    metadata: Path,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns everything on the page that is not a picture, as JSON types without NaN.

    Args:
      runs: configurations that have finished.
      failed: configurations that have not; `name` and `error` of each.
      metadata: SQLite file of ML Metadata, for the original time of cached nodes.
      resamples: of the bootstrap.
      seed: of the bootstrap; every configuration uses the same resamples of patients.
    """
    seconds = durations(metadata, cached_executions(runs))
    tested = evaluated(runs)
    patients = set(tested[0].test.patient.tolist()) if tested else set()
    boxes = {run.name: run.test for run in tested if run.test.predicts_boxes}
    return json_values(
        {
            "disclaimer": DISCLAIMER,
            "notices": comparison_notices(runs),
            "images": len(tested[0].test) if tested else 0,
            "patients": len(patients),
            "looks": len(tested),
            "bootstrap": bootstrap_settings(resamples, seed),
            "validation": validation_results(runs, resamples, seed),
            "questions": [
                problem_results(problem, resamples, seed, boxes)
                for problem in binary_problems(tested)
            ],
            "classes": class_results(tested, resamples, seed),
            "stress_tests": [
                {"name": run.name, "bar": run.stress_test["bar"]}
                | {level: run.stress_test["largest"][level] for level in LEVELS}
                for run in runs
                if run.stress_test
            ],
            "costs": [cost(run, seconds) for run in runs],
            "failed": list(failed),
        }
    )


def comparison_notices(runs: Sequence[FinishedRun]) -> list[str]:
    """Returns the notices of all runs, each once."""
    lines = (
        line
        for run in runs
        for line in notices(
            read_json_object(run.records / "dataset.json"), run.training, model=run.name
        )
    )
    return list(dict.fromkeys(lines))


def rank(rows: Iterable[dict[str, Any]], validation: str) -> list[dict[str, Any]]:
    """Sorts the rows of a leaderboard by a validation metric, best first, undefined ones last."""
    return sorted(rows, key=lambda row: -np.nan_to_num(row[validation], nan=-1.0))


def problem_results(
    problem: BinaryProblem,
    resamples: int,
    seed: int,
    boxes: Mapping[str, SplitPredictions] | None = None,
) -> dict[str, Any]:
    """Computes leaderboard, paired tests and disputed images of a binary problem.

    Args:
      problem: with the predictions of each configuration.
      resamples: of the bootstrap.
      seed: of the bootstrap.
      boxes: configuration -> predictions with boxes; its row also has `challenge` and `pointing`.
    """
    rows = []
    for name in problem.names:
        test, val = problem.test[name], problem.val[name]
        values = bootstrap_binary_metrics(
            test.label, test.score, test.patient, test.threshold, resamples=resamples, seed=seed
        )
        metrics = intervals(values, COMPARED)
        if boxes and name in boxes and name not in problem.derived:
            metrics |= intervals(box_intervals(boxes[name], resamples, seed), BOX_HEADLINE)
        rows.append(
            {
                "name": name,
                "derived": name in problem.derived,
                "val_auc": roc_auc_score(val.label, val.score) if len(val) else float("nan"),
                "shifted_auc": problem.shifted.get(name, math.nan),
                "threshold": test.threshold,
                "metrics": metrics,
            }
        )
    shifted = all(math.isfinite(problem.shifted.get(name, math.nan)) for name in problem.names)
    leaderboard = rank(rows, "shifted_auc" if shifted else "val_auc")
    predictions = {row["name"]: problem.test[row["name"]] for row in leaderboard}
    first = next(iter(predictions.values()))
    predicted = np.stack([one.predicted_positive for one in predictions.values()])
    return {
        "title": problem.title,
        "positive": list(problem.positive),
        "negative": list(problem.negative),
        "images": len(first),
        "patients": len(set(first.patient.tolist())),
        "positives": int(first.label.sum()),
        "ranked_by": "shifted_auc" if shifted else "val_auc",
        "leaderboard": leaderboard,
        "paired": compare_predictions(predictions),
        "disputed": disputed_images(predictions),
        "all_wrong": int((predicted != first.label).all(axis=0).sum()),
        "differing": int((predicted != predicted[0]).any(axis=0).sum()),
    }


def disputed_images(
    predictions: Mapping[str, BinaryPredictions], limit: int = MAX_DISPUTED
) -> list[dict[str, Any]]:
    """Returns images with different decisions, most evenly split first, then by range of scores.

    Returns:
      rows of `sha256`, `filename`, `pathogen`, `positive`, and `answers`: for each configuration
      `name`, `score`, `called` (predicted side), `right`.
    """
    predicted = np.stack([one.predicted_positive for one in predictions.values()])
    scores = np.stack([one.score for one in predictions.values()])
    positives = predicted.sum(axis=0)
    minority = np.minimum(positives, len(predicted) - positives)
    order = np.lexsort((-np.ptp(scores, axis=0), -minority))
    first = next(iter(predictions.values()))
    return [
        {
            "sha256": str(first.sha256[i]),
            "filename": str(first.filename[i]),
            "pathogen": str(first.pathogen[i]),
            "positive": int(first.label[i]),
            "answers": [
                {
                    "name": name,
                    "score": float(one.score[i]),
                    "called": int(one.predicted_positive[i]),
                    "right": bool(one.predicted_positive[i] == one.label[i]),
                }
                for name, one in predictions.items()
            ],
        }
        for i in order[minority[order] > 0][:limit]
    ]


def class_results(runs: Sequence[EvaluatedRun], resamples: int, seed: int) -> list[dict[str, Any]]:
    """Compares tasks with the same classes, more than two.

    Returns:
      groups of `classes`, `images`, `leaderboard` (best class accuracy on validation first) and
      `paired` (see `compare_accuracy`).
    """
    groups: dict[tuple[Any, ...], list[EvaluatedRun]] = {}
    for run in runs:
        task = run.test.task
        if len(task.classes) > 2 and len(run.test.with_class_label()):
            key = (task.classes, tuple(sorted(task.compatible.items())))
            groups.setdefault(key, []).append(run)
    return [_group_results(group, resamples, seed) for group in groups.values()]


def _group_results(group: Sequence[EvaluatedRun], resamples: int, seed: int) -> dict[str, Any]:
    classes = list(group[0].test.task.classes)
    metrics = [
        *(name for name in CLASSES if name != "kappa"),
        *(f"recall/{name}" for name in classes),
    ]
    rows = []
    correct = {}
    for run in group:
        test, val = run.test.with_class_label(), run.val.with_class_label()
        correct[run.name] = test.predicted_label == test.label
        rows.append(
            {
                "name": run.name,
                "val_accuracy": float(np.mean(val.predicted_label == val.label))
                if len(val)
                else np.nan,
                "metrics": intervals(class_intervals(run.test, resamples, seed), metrics),
            }
        )
    leaderboard = rank(rows, "val_accuracy")
    return {
        "classes": classes,
        "images": len(group[0].test.with_class_label()),
        "leaderboard": leaderboard,
        "paired": compare_accuracy(
            {row["name"]: correct[row["name"]] for row in leaderboard},
            group[0].test.with_class_label().patient,
        ),
    }
