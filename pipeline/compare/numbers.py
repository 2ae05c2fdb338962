"""The numbers of the page: leaderboards, paired tests, disputed images, costs."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.bootstrap import clustered_bootstrap
from components.evaluation.metrics import roc_auc
from components.evaluation.on_split import box_numbers, class_numbers
from components.evaluation.paired import delong_clustered, mcnemar_clustered
from components.report.data import DISCLAIMER, SYNTHETIC
from components.report.plain import as_dict, plain
from pipeline.compare.cost import cached_executions, cost, durations
from pipeline.compare.launch import read_json
from pipeline.compare.questions import Question, Score, questions
from pipeline.compare.runs import Failed, Finished

DISPUTED = 12
SHOWN = ("auc", "accuracy", "sensitivity", "specificity", "ece")
OF_BOXES = ("challenge", "pointing")
OF_CLASSES = ("class_accuracy", "balanced_accuracy", "macro_auc", "pairwise_auc")


def compare_numbers(
    runs: Sequence[Finished],
    failed: Sequence[Failed],
    metadata: Path,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything on the page that is not a picture; plain values, ready for JSON.

    Args:
      runs: what finished.
      failed: what did not.
      metadata: SQLite file of ML Metadata, for what cached nodes took when they ran.
      resamples: of the bootstrap.
      seed: of the bootstrap; the same draws of patients for every configuration.
    """
    took = durations(metadata, cached_executions(runs))
    return plain(
        {
            "disclaimer": DISCLAIMER,
            "notices": notices(runs),
            "images": len(runs[0].test),
            "patients": len(set(runs[0].test.patient.tolist())),
            "looks": len(runs),
            "bootstrap": {"resamples": resamples, "seed": seed, "level": 0.95, "unit": "patient"},
            "questions": [of_question(q, resamples, seed, located(runs)) for q in questions(runs)],
            "classes": of_classes(runs, resamples, seed),
            "costs": [{"name": run.name, **about(run), **cost(run, took)} for run in runs],
            "failed": [vars(one) for one in failed],
        }
    )


def notices(runs: Sequence[Finished]) -> list[str]:
    """Lines that must stand first."""
    said = []
    if any(read_json(run.records / "dataset.json").get("synthetic") for run in runs):
        said.append(SYNTHETIC)
    naive = [
        run.name for run in runs if (run.training.get("weights") or {}).get("kind") == "random"
    ]
    if naive:
        said.append(f"RANDOM WEIGHTS, no transfer learning: {', '.join(naive)}.")
    return said


def about(run: Finished) -> dict[str, Any]:
    """What a configuration is, in a few words."""
    training = run.training
    return {
        "trunk": training.get("trunk"),
        "task": run.test.of.name,
        "image_size": training.get("image_size"),
        "fine_tuned": bool(training.get("fine_tune")),
        "seeds": training.get("seeds"),
    }


def located(runs: Sequence[Finished]) -> dict[str, Answers]:
    """Answers on test of the configurations that predict boxes, by name."""
    return {run.name: run.test for run in runs if run.test.locates}


def of_question(
    question: Question, resamples: int, seed: int, boxes: Mapping[str, Answers] | None = None
) -> dict[str, Any]:
    """Leaderboard, paired tests and disputed images of one question; best on validation first.

    Args:
      question: who answers what.
      resamples: of the bootstrap.
      seed: of the bootstrap.
      boxes: name -> answers on test of configurations that predict boxes; their rows have
        `challenge` and `pointing` among the metrics.
    """
    rows: list[dict[str, Any]] = []
    for name in question.names:
        test, val = question.test[name], question.val[name]
        found = clustered_bootstrap(
            test.label, test.score, test.patient, test.threshold, resamples=resamples, seed=seed
        )
        shown = {metric: as_dict(found[metric]) for metric in SHOWN}
        if name in (boxes or {}) and name not in question.derived:
            of_boxes = box_numbers((boxes or {})[name], resamples, seed)
            shown |= {metric: as_dict(of_boxes[metric]) for metric in OF_BOXES}
        rows.append(
            {
                "name": name,
                "derived": name in question.derived,
                "val_auc": roc_auc(val.label, val.score) if len(val) else float("nan"),
                "threshold": test.threshold,
                "metrics": shown,
            }
        )
    rows.sort(key=lambda row: -np.nan_to_num(row["val_auc"], nan=-1.0))
    ordered = {row["name"]: question.test[row["name"]] for row in rows}
    some = next(iter(ordered.values()))
    return {
        "title": question.title,
        "positive": list(question.positive),
        "negative": list(question.negative),
        "images": len(some),
        "patients": len(set(some.patient.tolist())),
        "positives": int(some.label.sum()),
        "leaderboard": rows,
        "paired": paired(ordered),
        "disputed": disputed(ordered),
        "all_wrong": int(_all_wrong(ordered).sum()),
        "differing": int(_differ(ordered).sum()),
    }


def paired(scores: dict[str, Score]) -> list[dict[str, Any]]:
    """DeLong and McNemar by patient for each pair, with Holm's correction over the pairs.

    Returns:
      rows of `a`, `b`; `auc` and `accuracy`, each with `difference` (a - b), `p` (two-sided),
      `p_holm`; `only_a`, `only_b`: images that one of them alone calls rightly.
    """
    rows: list[dict[str, Any]] = []
    for (name_a, a), (name_b, b) in itertools.combinations(scores.items(), 2):
        areas = delong_clustered(a.label, a.score, b.score, a.patient)
        calls = mcnemar_clustered(a.called == a.label, b.called == b.label, a.patient)
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
        corrected = holm([row[metric]["p"] for row in rows])
        for row, p in zip(rows, corrected, strict=True):
            row[metric]["p_holm"] = p
    return rows


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction (1979, Scand. J. Stat. 6) of several p; NaN stays and does not count."""
    values = np.asarray(p, np.float64)
    corrected = np.full(len(values), np.nan)
    defined = np.flatnonzero(np.isfinite(values))
    order = defined[np.argsort(values[defined], kind="stable")]
    so_far = 0.0
    for rank, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - rank) * values[i]))
        corrected[i] = so_far
    return [float(value) for value in corrected]


def _called(scores: dict[str, Score]) -> np.ndarray:
    return np.stack([score.called for score in scores.values()])


def _differ(scores: dict[str, Score]) -> np.ndarray:
    called = _called(scores)
    return called.min(axis=0) != called.max(axis=0)


def _all_wrong(scores: dict[str, Score]) -> np.ndarray:
    label = next(iter(scores.values())).label
    return (_called(scores) != label).all(axis=0)


def disputed(scores: dict[str, Score], most: int = DISPUTED) -> list[dict[str, Any]]:
    """Images on which the decisions differ, the most evenly split first, then by spread of scores.

    Returns:
      rows of `sha256`, `filename`, `pathogen`, `positive`, and `answers`: for each configuration
      `name`, `score`, `called`, `right`.
    """
    called = _called(scores)
    values = np.stack([score.score for score in scores.values()])
    ones = called.sum(axis=0)
    minority = np.minimum(ones, len(called) - ones)
    spread = values.max(axis=0) - values.min(axis=0)
    chosen = [i for i in np.lexsort((-spread, -minority)) if minority[i]][:most]
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
                    "called": int(score.called[i]),
                    "right": bool(score.called[i] == score.label[i]),
                }
                for name, score in scores.items()
            ],
        }
        for i in chosen
    ]


def of_classes(runs: Sequence[Finished], resamples: int, seed: int) -> list[dict[str, Any]]:
    """Numbers of tasks with more than two classes, those of the same classes together.

    Returns:
      groups of `classes`, `images`, `leaderboard` (best validation accuracy of classes first) and
      `paired` (McNemar on the classes).
    """
    groups: dict[tuple[Any, ...], list[Finished]] = {}
    for run in runs:
        of = run.test.of
        if len(of.classes) > 2 and len(run.test.labelled()):
            key = (of.classes, tuple(sorted(of.compatible.items())))
            groups.setdefault(key, []).append(run)
    return [_of_group(list(key[0]), group, resamples, seed) for key, group in groups.items()]


def _of_group(
    classes: list[str], group: Sequence[Finished], resamples: int, seed: int
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for run in group:
        found = class_numbers(run.test, resamples, seed)
        names = [*OF_CLASSES, *(f"recall/{name}" for name in classes)]
        val = run.val.labelled()
        rows.append(
            {
                "name": run.name,
                "val_accuracy": float((val.predicted == val.label).mean()) if len(val) else None,
                "metrics": {name: as_dict(found[name]) for name in names},
            }
        )
    rows.sort(key=lambda row: -(row["val_accuracy"] or 0.0))
    labelled = {run.name: run.test.labelled() for run in group}
    tests: list[dict[str, Any]] = []
    for a, b in itertools.combinations([row["name"] for row in rows], 2):
        one, two = labelled[a], labelled[b]
        test = mcnemar_clustered(
            one.predicted == one.label, two.predicted == two.label, one.patient
        )
        tests.append({"a": a, "b": b, "difference": test.difference, "p": test.p,
                      "only_a": test.only_a, "only_b": test.only_b})  # fmt: skip
    for row, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        row["p_holm"] = p
    return {
        "classes": classes,
        "images": len(next(iter(labelled.values()))),
        "leaderboard": rows,
        "paired": tests,
    }
