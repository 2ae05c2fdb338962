"""Calibration, predictive values, abstention, ensemble members and shift."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from core.metrics import calibration
from core.metrics.binary import binary_metrics, predictive_values
from core.metrics.bootstrap import Interval, clustered_bootstrap
from core.metrics.multiclass import class_metrics
from core.metrics.operating_point import predicted_class
from core.metrics.registry import MEMBER_CLASSES, MEMBERS, NOT_REFERRED, ON_VALIDATION
from core.metrics.risk_coverage import aurc, risk_coverage
from core.metrics.seeds import spread_over_seeds
from core.metrics.shift import score_shift, shift_warnings
from core.predictions.metrics import score_intervals
from core.predictions.predictions import SplitPredictions
from core.reporting.format import intervals

PREVALENCES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
_BINS = 10


def raw_score(answers: SplitPredictions) -> np.ndarray:
    """Returns the score before temperature scaling, float64 [n]."""
    return answers.raw[:, list(answers.task.positive)].sum(axis=1).clip(0, 1)


def calibrated(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Computes calibration error and Brier score before and after temperature scaling.

    Returns:
      "before" and "after", each with intervals of `ece` and `brier`; with more than two classes
      also of `top_label_ece` (Guo et al. 2017, bins of equal width) and `class_brier`, the mean of
      sum_c (p_c - y_c)^2 (Brier 1950), 0 to 2.
    """
    labelled = answers.with_class_label()
    found: dict[str, dict[str, Any]] = {}
    for name, score, p in (
        ("before", raw_score(answers), labelled.raw),
        ("after", answers.score, labelled.probabilities),
    ):
        values = score_intervals(replace(answers, score=score), resamples, seed)
        found[name] = intervals(values, ("ece", "brier"))
        if len(answers.task.classes) > 2 and len(labelled):
            of_classes = clustered_bootstrap(
                _class_calibration(p, labelled.label),
                labelled.patient,
                resamples=resamples,
                seed=seed,
            )
            found[name] |= intervals(of_classes)
    return found


def _class_calibration(p: np.ndarray, label: np.ndarray) -> Any:
    confidence = p.max(axis=1)
    gap = confidence - (p.argmax(axis=1) == label)
    bins = np.eye(_BINS)[np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)]
    squared = ((p - np.eye(p.shape[1])[label]) ** 2).sum(axis=1)

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        total = w.sum(axis=1)
        error = np.abs(w @ (bins * gap[:, None])).sum(axis=1)
        return {"top_label_ece": error / total, "class_brier": w @ squared / total}

    return statistics


def values_over_prevalence(metrics: Mapping[str, Interval]) -> list[dict[str, Any]]:
    """Computes PPV and NPV at several prevalences.

    Both rise with sensitivity and specificity, so their bounds follow from the bounds of both taken
    together: at least as wide as a 95 % interval.

    Returns:
      rows of `prevalence`, `ppv` and `npv`, each with estimate, low and high.
    """
    sensitivity, specificity = metrics["sensitivity"], metrics["specificity"]
    at = np.array(PREVALENCES)
    ends = ("estimate", "low", "high")
    values = [
        predictive_values(getattr(sensitivity, end), getattr(specificity, end), at) for end in ends
    ]
    return [
        {
            "prevalence": prevalence,
            "ppv": {end: float(ppv[i]) for end, (ppv, _) in zip(ends, values, strict=True)},
            "npv": {end: float(npv[i]) for end, (_, npv) in zip(ends, values, strict=True)},
        }
        for i, prevalence in enumerate(PREVALENCES)
    ]


def correctness(answers: SplitPredictions) -> tuple[np.ndarray, np.ndarray]:
    """Returns which predicted classes are correct, and their probability; labelled images only."""
    labelled = answers.with_class_label()
    predicted = labelled.predicted_label
    confidence = np.take_along_axis(labelled.probabilities, predicted[:, None], axis=1)[:, 0]
    return predicted == labelled.label, confidence


def coverage(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, Any] | None:
    """Computes the error among the most confident images; None without a labelled image.

    Returns:
      `aurc`, and `points`: rows of `coverage` and `error`.
    """
    right, confidence = correctness(answers)
    if not len(right):
        return None

    def one(images: np.ndarray) -> list[float]:
        covered, risk = risk_coverage(right[images], confidence[images])
        at = np.minimum(np.searchsorted(covered, np.array(COVERAGES) - 1e-9), len(risk) - 1)
        return [aurc(right[images], confidence[images]), *risk[at]]

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        images = np.arange(len(right))
        drawn = np.array([one(np.repeat(images, row.astype(int))) for row in w])
        return dict(zip(("aurc", *map(str, COVERAGES)), drawn.T, strict=True))

    found = clustered_bootstrap(
        statistics, answers.with_class_label().patient, resamples=resamples, seed=seed
    )
    return {
        "aurc": asdict(found["aurc"]),
        "points": [{"coverage": share, "error": asdict(found[str(share)])} for share in COVERAGES],
    }


def abstention(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, Any] | None:
    """Computes what the abstention band refers; None without a band.

    Returns:
      `band`, `referred` (images), `wrong_referred`, `wrong_left`, `coverage`, and of the images
      that are not referred `metrics`: `accuracy`, `sensitivity`, `specificity` (None without any).
    """
    sided = answers.with_binary_label()
    if answers.band is None or not len(sided):
        return None
    kept = sided.decision >= 0
    wrong = sided.predicted_positive != sided.positive
    shares = clustered_bootstrap(
        lambda w: {"coverage": w @ kept / w.sum(axis=1)},
        sided.patient,
        shares={"coverage": np.ones(len(sided), bool)},
        resamples=resamples,
        seed=seed,
    )
    metrics = score_intervals(sided.where(kept), resamples, seed)
    return {
        "band": list(answers.band),
        "referred": int((~kept).sum()),
        "wrong_referred": int((wrong & ~kept).sum()),
        "wrong_left": int((wrong & kept).sum()),
        "coverage": asdict(shares["coverage"]),
        "metrics": intervals(metrics, NOT_REFERRED) if metrics else None,
    }


def member_spread(answers: SplitPredictions, seeds: list[int] | None) -> dict[str, Any]:
    """Evaluates each ensemble member with the temperature and the threshold of the ensemble.

    Returns:
      `seeds`, and `metrics`: name -> values, mean, low, high and sd over the members.
    """
    sided, labelled, task = answers.with_binary_label(), answers.with_class_label(), answers.task
    found = []
    for m in range(answers.members.shape[1]):

        def member(part: SplitPredictions, m: int = m) -> tuple[np.ndarray, np.ndarray]:
            logits = np.log(np.maximum(part.members[:, m], 1e-12))
            p = calibration.softmax(logits, part.temperature)
            return p, p[:, list(task.positive)].sum(axis=1).clip(0, 1)

        _, score = member(sided)
        metrics = binary_metrics(sided.positive, score, sided.threshold)
        names = [*MEMBERS]
        if len(task.classes) > 2 and len(labelled):
            p, score = member(labelled)
            predicted = predicted_class(p, score, task.positive, labelled.threshold)
            metrics |= class_metrics(labelled.label, p, task.classes, labelled.pair, predicted)
            names += MEMBER_CLASSES
        found.append({name: metrics[name] for name in names})
    return {
        "seeds": seeds or list(range(len(found))),
        "metrics": {name: asdict(value) for name, value in spread_over_seeds(found).items()},
    }


def shift(
    val: SplitPredictions, test: SplitPredictions, names: tuple[str, str], seed: int
) -> dict[str, Any]:
    """Compares the scores of validation with those of test.

    Returns:
      `classes`: rows as core.metrics.shift.ScoreShift; `warnings`: lines.
    """
    rows = [(split.score, split.patient, split.positive) for split in (val, test)]
    found = score_shift(*rows, seed=seed)
    return {"classes": [asdict(one) for one in found], "warnings": shift_warnings(found, names)}


def on_validation(
    val: SplitPredictions, test: Mapping[str, Interval], resamples: int, seed: int
) -> dict[str, Any] | None:
    """Puts the numbers at the threshold on validation beside those on test.

    Returns:
      name -> `validation` and `test` with intervals; None without an image of validation.
    """
    found = score_intervals(val, resamples, seed)
    if not found:
        return None
    return {
        name: {"validation": asdict(found[name]), "test": asdict(test[name])}
        for name in ON_VALIDATION
    }
