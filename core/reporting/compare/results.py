"""Numbers of a comparison: leaderboards, paired tests, disputed images, costs."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.metrics.binary import roc_auc_score
from core.metrics.bootstrap import bootstrap_binary_metrics
from core.metrics.paired import delong_clustered, mcnemar_clustered
from core.metrics.registry import BOX_HEADLINE, CLASSES, COMPARED
from core.predictions.metrics import box_intervals, class_intervals
from core.predictions.predictions import SplitPredictions
from core.reporting.compare.binary_problems import BinaryPredictions, BinaryProblem, questions
from core.reporting.compare.runs import (
    FinishedRun,
    cached_executions,
    cost,
    durations,
    read_json_object,
)
from core.reporting.format import bootstrap_settings, intervals
from core.reporting.notices import DISCLAIMER, SYNTHETIC
from schema.json_values import json_values

DISPUTED = 12


def compare_numbers(
    runs: Sequence[FinishedRun],
    failed: Sequence[dict[str, str]],
    metadata: Path,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns everything on the page that is not a picture, as JSON types without NaN.

    Args:
      runs: configurations that have finished.
      failed: configurations that have not.
      metadata: SQLite file of ML Metadata, for the original time of cached nodes.
      resamples: of the bootstrap.
      seed: of the bootstrap; every configuration has the same draws of patients.
    """
    took = durations(metadata, cached_executions(runs))
    boxes = {run.name: run.test for run in runs if run.test.predicts_boxes}
    return json_values(
        {
            "disclaimer": DISCLAIMER,
            "notices": compare_notices(runs),
            "images": len(runs[0].test),
            "patients": len(set(runs[0].test.patient.tolist())),
            "looks": len(runs),
            "bootstrap": bootstrap_settings(resamples, seed),
            "questions": [of_question(q, resamples, seed, boxes) for q in questions(runs)],
            "classes": of_classes(runs, resamples, seed),
            "costs": [cost(run, took) for run in runs],
            "failed": list(failed),
        }
    )


def compare_notices(runs: Sequence[FinishedRun]) -> list[str]:
    """Returns warnings about synthetic data and random weights."""
    lines = []
    if any(read_json_object(run.records / "dataset.json").get("synthetic") for run in runs):
        lines.append(SYNTHETIC)
    random = [
        run.name for run in runs if (run.training.get("weights") or {}).get("kind") == "random"
    ]
    if random:
        lines.append(f"RANDOM WEIGHTS, no transfer learning: {', '.join(random)}.")
    return lines


def of_question(
    question: BinaryProblem,
    resamples: int,
    seed: int,
    boxes: Mapping[str, SplitPredictions] | None = None,
) -> dict[str, Any]:
    """Computes leaderboard, paired tests and disputed images; best on validation first.

    `boxes` are the predictions of configurations with boxes, by name; their rows have `challenge`
    and `pointing` among the metrics.
    """
    rows: list[dict[str, Any]] = []
    for name in question.names:
        test, val = question.test[name], question.val[name]
        found = bootstrap_binary_metrics(
            test.label, test.score, test.patient, test.threshold, resamples=resamples, seed=seed
        )
        shown = intervals(found, COMPARED)
        if boxes and name in boxes and name not in question.derived:
            shown |= intervals(box_intervals(boxes[name], resamples, seed), BOX_HEADLINE)
        rows.append(
            {
                "name": name,
                "derived": name in question.derived,
                "val_auc": roc_auc_score(val.label, val.score) if len(val) else float("nan"),
                "threshold": test.threshold,
                "metrics": shown,
            }
        )
    rows.sort(key=lambda row: -np.nan_to_num(row["val_auc"], nan=-1.0))
    scores = {row["name"]: question.test[row["name"]] for row in rows}
    some = next(iter(scores.values()))
    called = np.stack([score.predicted_positive for score in scores.values()])
    return {
        "title": question.title,
        "positive": list(question.positive),
        "negative": list(question.negative),
        "images": len(some),
        "patients": len(set(some.patient.tolist())),
        "positives": int(some.label.sum()),
        "leaderboard": rows,
        "paired": paired(scores),
        "disputed": disputed(scores),
        "all_wrong": int((called != some.label).all(axis=0).sum()),
        "differing": int((called != called[0]).any(axis=0).sum()),
    }


def paired(scores: Mapping[str, BinaryPredictions]) -> list[dict[str, Any]]:
    """Tests each pair by DeLong and McNemar with the patient as unit, corrected by Holm.

    Returns:
      rows of `a`, `b`; `auc` and `accuracy`, each with `difference` (a - b), `p` (two-sided),
      `p_holm`; `only_a`, `only_b`: images that only one of them predicts correctly.
    """
    rows: list[dict[str, Any]] = []
    for (name_a, a), (name_b, b) in itertools.combinations(scores.items(), 2):
        areas = delong_clustered(a.label, a.score, b.score, a.patient)
        calls = mcnemar_clustered(
            a.predicted_positive == a.label, b.predicted_positive == b.label, a.patient
        )
        rows.append(
            {
                "a": name_a,
                "b": name_b,
                "auc": {"difference": areas.difference, "p": areas.p},
                "accuracy": {"difference": calls.difference, "p": calls.p},
                "only_a": calls.only_a,
                "only_b": calls.only_b,
            }
        )
    for metric in ("auc", "accuracy"):
        _add_holm([row[metric] for row in rows])
    return rows


def holm(p: Sequence[float]) -> list[float]:
    """Corrects several p values (Holm 1979, Scand. J. Stat. 6); NaN stays and does not count."""
    values = np.asarray(p, np.float64)
    corrected = np.full(len(values), np.nan)
    defined = np.flatnonzero(np.isfinite(values))
    order = defined[np.argsort(values[defined], kind="stable")]
    steps = np.minimum(1.0, values[order] * np.arange(len(order), 0, -1))
    corrected[order] = np.maximum.accumulate(steps)
    return [float(value) for value in corrected]


def _add_holm(rows: Sequence[dict[str, Any]]) -> None:
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p


def disputed(scores: Mapping[str, BinaryPredictions], most: int = DISPUTED) -> list[dict[str, Any]]:
    """Returns images with different decisions, most evenly split first, then by range of scores.

    Returns:
      rows of `sha256`, `filename`, `pathogen`, `positive`, and `answers`: for each configuration
      `name`, `score`, `called`, `right`.
    """
    called = np.stack([score.predicted_positive for score in scores.values()])
    values = np.stack([score.score for score in scores.values()])
    ones = called.sum(axis=0)
    minority = np.minimum(ones, len(called) - ones)
    chosen = [i for i in np.lexsort((-np.ptp(values, axis=0), -minority)) if minority[i]][:most]
    some = next(iter(scores.values()))
    return [
        {
            "sha256": str(some.sha256[i]),
            "filename": str(some.filename[i]),
            "pathogen": str(some.pathogen[i]),
            "positive": int(some.label[i]),
            "answers": [
                {
                    "name": name,
                    "score": float(score.score[i]),
                    "called": int(score.predicted_positive[i]),
                    "right": bool(score.predicted_positive[i] == score.label[i]),
                }
                for name, score in scores.items()
            ],
        }
        for i in chosen
    ]


def of_classes(runs: Sequence[FinishedRun], resamples: int, seed: int) -> list[dict[str, Any]]:
    """Compares tasks with the same classes, more than two.

    Returns:
      groups of `classes`, `images`, `leaderboard` (best class accuracy on validation first) and
      `paired` (McNemar on the classes).
    """
    groups: dict[tuple[Any, ...], list[FinishedRun]] = {}
    for run in runs:
        task = run.test.task
        if len(task.classes) > 2 and len(run.test.with_class_label()):
            key = (task.classes, tuple(sorted(task.compatible.items())))
            groups.setdefault(key, []).append(run)
    return [_of_group(list(key[0]), group, resamples, seed) for key, group in groups.items()]


def _of_group(
    classes: list[str], group: Sequence[FinishedRun], resamples: int, seed: int
) -> dict[str, Any]:
    names = [
        *(name for name in CLASSES if name != "kappa"),
        *(f"recall/{name}" for name in classes),
    ]
    rows: list[dict[str, Any]] = []
    for run in group:
        val = run.val.with_class_label()
        rows.append(
            {
                "name": run.name,
                "val_accuracy": float((val.predicted_label == val.label).mean())
                if len(val)
                else None,
                "metrics": intervals(class_intervals(run.test, resamples, seed), names),
            }
        )
    rows.sort(key=lambda row: -(row["val_accuracy"] or 0.0))
    labelled = {run.name: run.test.with_class_label() for run in group}
    right = {name: of.predicted_label == of.label for name, of in labelled.items()}
    tests: list[dict[str, Any]] = []
    for a, b in itertools.combinations([row["name"] for row in rows], 2):
        test = mcnemar_clustered(right[a], right[b], labelled[a].patient)
        tests.append(
            {
                "a": a,
                "b": b,
                "difference": test.difference,
                "p": test.p,
                "only_a": test.only_a,
                "only_b": test.only_b,
            }
        )
    _add_holm(tests)
    return {
        "classes": classes,
        "images": len(next(iter(labelled.values()))),
        "leaderboard": rows,
        "paired": tests,
    }
