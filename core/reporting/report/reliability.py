"""Calibration, predictive values, referral, ensemble members and shift."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from core.metrics.binary import binary_metrics, predictive_values
from core.metrics.bootstrap import Interval, clustered_bootstrap
from core.metrics.calibration import positive_score, scale_probabilities
from core.metrics.decisions.risk_coverage import aurc, risk_coverage
from core.metrics.multiclass import class_metrics, pair_share
from core.metrics.operating_point import predicted_class
from core.metrics.registry import MEMBER_CLASSES, MEMBERS, NOT_REFERRED, ON_VALIDATION
from core.metrics.seeds import log_odds_correlation, spread_over_seeds
from core.metrics.shift import score_shift, shift_warnings
from core.predictions.metrics import score_intervals
from core.predictions.predictions import SplitPredictions
from core.reporting.format import intervals

PREVALENCES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
_BINS = 10


def raw_score(predictions: SplitPredictions) -> np.ndarray:
    """Returns the score before temperature scaling, float64 [n]."""
    return positive_score(predictions.raw, predictions.task.positive)


def calibration_metrics(
    predictions: SplitPredictions, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Computes calibration error and Brier score before and after temperature scaling.

    Returns:
      "before" and "after", each with intervals of `ece` and `brier`; with more than two classes
      also of `top_label_ece` (Guo et al. 2017, bins of equal width) and `class_brier`, the mean of
      sum_c (p_c - y_c)^2 (Brier 1950), 0 to 2.
    """
    labeled = predictions.with_class_label()
    result: dict[str, dict[str, Any]] = {}
    for name, score, p in (
        ("before", raw_score(predictions), labeled.raw),
        ("after", predictions.score, labeled.probabilities),
    ):
        values = score_intervals(replace(predictions, score=score), resamples, seed)
        result[name] = intervals(values, ("ece", "brier"))
        if len(predictions.task.classes) > 2 and len(labeled):
            class_calibration = clustered_bootstrap(
                _class_calibration(p, labeled.label),
                labeled.patient,
                resamples=resamples,
                seed=seed,
            )
            result[name] |= intervals(class_calibration)
    return result


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


def predictive_values_by_prevalence(metrics: Mapping[str, Interval]) -> list[dict[str, Any]]:
    """Computes PPV and NPV at several prevalences.

    Both values increase with sensitivity and specificity, so their bounds are computed from the
    bounds of both; the result is at least as wide as a 95 % interval.

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


def correctness(predictions: SplitPredictions) -> tuple[np.ndarray, np.ndarray]:
    """Returns which predicted classes are correct, and their probability; labeled images only."""
    labeled = predictions.with_class_label()
    predicted = labeled.predicted_label
    confidence = np.take_along_axis(labeled.probabilities, predicted[:, None], axis=1)[:, 0]
    return predicted == labeled.label, confidence


def coverage(predictions: SplitPredictions, resamples: int, seed: int) -> dict[str, Any] | None:
    """Computes the error among the most confident images; None without a labeled image.

    Returns:
      `aurc`, and `points`: rows of `coverage` and `error`.
    """
    correct, confidence = correctness(predictions)
    if not len(correct):
        return None

    def one(images: np.ndarray) -> list[float]:
        covered, risk = risk_coverage(correct[images], confidence[images])
        at = np.minimum(np.searchsorted(covered, np.array(COVERAGES) - 1e-9), len(risk) - 1)
        return [aurc(correct[images], confidence[images]), *risk[at]]

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        images = np.arange(len(correct))
        drawn = np.array([one(np.repeat(images, row.astype(int))) for row in w])
        return dict(zip(("aurc", *map(str, COVERAGES)), drawn.T, strict=True))

    result = clustered_bootstrap(
        statistics, predictions.with_class_label().patient, resamples=resamples, seed=seed
    )
    return {
        "aurc": asdict(result["aurc"]),
        "points": [{"coverage": share, "error": asdict(result[str(share)])} for share in COVERAGES],
    }


def abstention(predictions: SplitPredictions, resamples: int, seed: int) -> dict[str, Any] | None:
    """Computes the effect of the referral band; None without a band.

    Returns:
      `band`, `referred` (images), `wrong_referred`, `wrong_left`, `coverage`, and of the images
      that are not referred `metrics`: `accuracy`, `sensitivity`, `specificity` (None without any).
    """
    labeled = predictions.with_binary_label()
    if predictions.band is None or not len(labeled):
        return None
    kept = labeled.decision >= 0
    wrong = labeled.predicted_positive != labeled.positive
    shares = clustered_bootstrap(
        lambda w: {"coverage": w @ kept / w.sum(axis=1)},
        labeled.patient,
        shares={"coverage": np.ones(len(labeled), bool)},
        resamples=resamples,
        seed=seed,
    )
    metrics = score_intervals(labeled.where(kept), resamples, seed)
    return {
        "band": list(predictions.band),
        "referred": int((~kept).sum()),
        "wrong_referred": int((wrong & ~kept).sum()),
        "wrong_left": int((wrong & kept).sum()),
        "coverage": asdict(shares["coverage"]),
        "metrics": intervals(metrics, NOT_REFERRED) if metrics else None,
    }


def member_names(training: Mapping[str, Any] | None) -> list[str] | None:
    """Returns "seed 0", or "Xception, seed 0" with several backbones, for each member."""
    members = (training or {}).get("members") or []
    several = len({member.get("backbone") for member in members}) > 1
    prefix = [f"{member['backbone']}, " if several else "" for member in members]
    return [f"{a}seed {one['seed']}" for a, one in zip(prefix, members, strict=True)] or None


def member_correlation(
    val: SplitPredictions, names: list[str] | None, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Computes the correlation of each two members' log-odds on validation.

    Returns:
      rows of `members` (their names) and `positive`, of the positive classes; with a pair of
      positive classes also `pair`, of the first against the second among the images of both.
    """
    count = val.members.shape[1]
    if count < 2:
        return []
    named = names if names and len(names) == count else [f"seed {i}" for i in range(count)]
    score = val.members[:, :, list(val.task.positive)].sum(axis=2)
    columns = {"positive": (score, val.patient)}
    if len(val.pair) == 2:
        among = val.where(np.isin(val.label, val.pair))
        share = [pair_share(*among.members[:, m, list(val.pair)].T) for m in range(count)]
        columns["pair"] = np.stack(share, axis=1), among.patient
    found = {
        name: clustered_bootstrap(
            log_odds_correlation(values), patients, resamples=resamples, seed=seed
        )
        for name, (values, patients) in columns.items()
        if len(values)
    }
    return [
        {
            "members": [named[i], named[j]],
            **{name: asdict(values[f"{i}-{j}"]) for name, values in found.items()},
        }
        for i in range(count)
        for j in range(i + 1, count)
    ]


def member_spread(predictions: SplitPredictions, names: list[str] | None) -> dict[str, Any]:
    """Evaluates each ensemble member with the temperature and the threshold of the ensemble.

    Returns:
      `names`, and `metrics`: name -> values, mean, low, high and sd over the members.
    """
    binary, labeled, task = (
        predictions.with_binary_label(),
        predictions.with_class_label(),
        predictions.task,
    )
    result = []
    for m in range(predictions.members.shape[1]):

        def member(part: SplitPredictions, m: int = m) -> tuple[np.ndarray, np.ndarray]:
            p = scale_probabilities(part.members[:, m], part.temperature)
            return p, positive_score(p, task.positive)

        _, score = member(binary)
        metrics = binary_metrics(binary.positive, score, binary.threshold)
        reported = [*MEMBERS]
        if len(task.classes) > 2 and len(labeled):
            p, score = member(labeled)
            predicted = predicted_class(p, score, task.positive, labeled.threshold)
            metrics |= class_metrics(labeled.label, p, task.classes, labeled.pair, predicted)
            reported += MEMBER_CLASSES
        result.append({name: metrics[name] for name in reported})
    return {
        "names": names
        if names and len(names) == len(result)
        else [f"seed {i}" for i in range(len(result))],
        "metrics": {name: asdict(value) for name, value in spread_over_seeds(result).items()},
    }


def shift_section(
    val: SplitPredictions, test: SplitPredictions, names: tuple[str, str], seed: int
) -> dict[str, Any]:
    """Compares the scores on validation with those on test.

    Returns:
      `classes`: rows as core.metrics.shift.ScoreShift; `warnings`: lines.
    """
    rows = [(split.score, split.patient, split.positive) for split in (val, test)]
    result = score_shift(*rows, seed=seed)
    return {"classes": [asdict(one) for one in result], "warnings": shift_warnings(result, names)}


def operating_point_metrics(
    val: SplitPredictions, test: Mapping[str, Interval], resamples: int, seed: int
) -> dict[str, Any] | None:
    """Returns the metrics at the operating point on validation beside those on test.

    Returns:
      metric -> `validation` and `test` with intervals; None if validation has no labeled image.
    """
    result = score_intervals(val, resamples, seed)
    if not result:
        return None
    return {
        name: {"validation": asdict(result[name]), "test": asdict(test[name])}
        for name in ON_VALIDATION
    }
