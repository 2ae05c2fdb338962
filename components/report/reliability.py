"""How far the probabilities, the threshold and the seed can be relied on."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from components.evaluation import calibration
from components.evaluation.answers import Answers
from components.evaluation.bootstrap import (
    Interval,
    clustered_bootstrap,
    clustered_bootstrap_of,
)
from components.evaluation.metrics import binary_metrics
from components.evaluation.multiclass import class_metrics
from components.evaluation.operating_point import predicted_class
from components.evaluation.prevalence import predictive_values
from components.evaluation.risk_coverage import aurc, risk_coverage
from components.evaluation.seeds import spread
from components.evaluation.shift import score_shift, warnings
from components.report.plain import as_dict

PREVALENCES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
_BINS = 10


def raw_score(answers: Answers) -> np.ndarray:
    """The score before temperature, float64 [n]."""
    return answers.raw[:, list(answers.of.positive)].sum(axis=1).clip(0, 1)


def calibrated(answers: Answers, resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Calibration error and Brier score before and after temperature, with intervals.

    Returns:
      "before" and "after", each with `ece` and `brier` of the score. Where there are more than two
      classes, also with `top_label_ece`, the distance of the predicted class's confidence and of
      how often it is right, in bins of equal width (Guo et al. 2017), and with `class_brier`, the
      mean over images of sum_c (p_c - y_c)^2 (Brier 1950), in 0..2.
    """
    told, labelled = answers.told(), answers.labelled()
    found: dict[str, dict[str, Any]] = {}
    for name, score, p in (
        ("before", raw_score(told), labelled.raw),
        ("after", told.score, labelled.probabilities),
    ):
        of_score = clustered_bootstrap(
            told.positive, score, told.patient, told.threshold, resamples=resamples, seed=seed
        )
        found[name] = {key: as_dict(of_score[key]) for key in ("ece", "brier")}
        if len(answers.of.classes) > 2 and len(labelled):
            y, confidence = labelled.label, p.max(axis=1)
            gap = confidence - (p.argmax(axis=1) == y)
            at = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
            squared = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)

            def statistics(
                w: np.ndarray,
                gap: np.ndarray = gap,
                at: np.ndarray = at,
                squared: np.ndarray = squared,
            ) -> dict[str, np.ndarray]:
                total = w.sum(axis=1)
                error = sum(np.abs(w[:, at == b] @ gap[at == b]) for b in range(_BINS))
                return {"top_label_ece": error / total, "class_brier": w @ squared / total}

            of_classes = clustered_bootstrap_of(
                statistics, labelled.patient, resamples=resamples, seed=seed
            )
            found[name] |= {key: as_dict(value) for key, value in of_classes.items()}
    return found


def values_over_prevalence(metrics: Mapping[str, Interval]) -> list[dict[str, Any]]:
    """PPV and NPV at some prevalences.

    Both rise with sensitivity and with specificity, so the ends come from the ends of their
    intervals taken together: at least as wide as a 95 % interval.

    Args:
      metrics: with sensitivity and specificity.

    Returns:
      rows of `prevalence`, `ppv` and `npv`, each with estimate, low and high.
    """
    sensitivity, specificity = metrics["sensitivity"], metrics["specificity"]
    at = np.array(PREVALENCES)
    ends = {
        end: predictive_values(getattr(sensitivity, end), getattr(specificity, end), at)
        for end in ("estimate", "low", "high")
    }
    return [
        {
            "prevalence": prevalence,
            **{
                name: {end: float(ends[end][which][i]) for end in ends}
                for which, name in ((0, "ppv"), (1, "npv"))
            },
        }
        for i, prevalence in enumerate(PREVALENCES)
    ]


def answered(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Which classes are right, and the probability of the class that was answered; labelled rows.

    For two classes the side is what is answered.
    """
    labelled = answers.labelled()
    predicted = labelled.predicted
    confidence = np.take_along_axis(labelled.probabilities, predicted[:, None], axis=1)[:, 0]
    return predicted == labelled.label, confidence


def coverage(answers: Answers, resamples: int, seed: int) -> dict[str, Any] | None:
    """Error on the surest images, with intervals; None without a labelled image.

    Returns:
      `aurc`, and `points`: rows of `coverage` and `error`.
    """
    right, sure = answered(answers)
    if not len(right):
        return None

    def one(rows: np.ndarray) -> list[float]:
        covered, risk = risk_coverage(right[rows], sure[rows])
        at = np.minimum(np.searchsorted(covered, np.array(COVERAGES) - 1e-9), len(risk) - 1)
        return [aurc(right[rows], sure[rows]), *risk[at]]

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        images = np.arange(len(right))
        drawn = np.array([one(np.repeat(images, row.astype(int))) for row in w])
        return {"aurc": drawn[:, 0]} | {
            f"{share:g}": drawn[:, i + 1] for i, share in enumerate(COVERAGES)
        }

    found = clustered_bootstrap_of(
        statistics, answers.labelled().patient, resamples=resamples, seed=seed
    )
    return {
        "aurc": as_dict(found["aurc"]),
        "points": [
            {"coverage": share, "error": as_dict(found[f"{share:g}"])} for share in COVERAGES
        ],
    }


def abstention(answers: Answers, resamples: int, seed: int) -> dict[str, Any] | None:
    """What the band refers and what is right on the rest; None where there is no band.

    Returns:
      `band`, `referred` (images), `wrong_referred`, `wrong_left`, `coverage`, and on the images
      that are answered `accuracy`, `sensitivity`, `specificity` (None where all are referred).
    """
    told = answers.told()
    if answers.band is None or not len(told):
        return None
    kept = told.decision >= 0
    wrong = told.called != told.positive
    shares = clustered_bootstrap_of(
        lambda w: {"coverage": w @ kept / w.sum(axis=1)},
        told.patient,
        shares={"coverage": np.ones(len(told), bool)},
        resamples=resamples,
        seed=seed,
    )
    found: dict[str, Any] = {
        "band": list(answers.band),
        "referred": int((~kept).sum()),
        "wrong_referred": int((wrong & ~kept).sum()),
        "wrong_left": int((wrong & kept).sum()),
        "coverage": as_dict(shares["coverage"]),
        "metrics": None,
    }
    rest = told.where(kept)
    if len(rest):
        numbers = clustered_bootstrap(
            rest.positive, rest.score, rest.patient, rest.threshold, resamples=resamples, seed=seed
        )
        found["metrics"] = {
            name: as_dict(numbers[name]) for name in ("accuracy", "sensitivity", "specificity")
        }
    return found


def member_spread(answers: Answers, seeds: list[int] | None) -> dict[str, Any]:
    """Each member on its own, with the temperature and the threshold of the ensemble.

    Returns:
      `seeds`, and `metrics`: name -> values, mean, low, high and sd over the members.
    """
    told, labelled = answers.told(), answers.labelled()
    of = answers.of
    several = len(of.classes) > 2
    found = []
    for m in range(answers.members.shape[1]):

        def own(part: Answers, m: int = m) -> tuple[np.ndarray, np.ndarray]:
            log = np.log(np.maximum(part.members[:, m], 1e-12))
            p = calibration.softmax(log, part.temperature)
            return p, p[:, list(of.positive)].sum(axis=1).clip(0, 1)

        _, score = own(told)
        of_score = binary_metrics(told.positive, score, told.threshold)
        names = ("auc", "auc_pr", "accuracy", "sensitivity", "specificity", "brier", "ece")
        numbers = {name: of_score[name] for name in names}
        if several and len(labelled):
            p, score = own(labelled)
            predicted = predicted_class(p, score, of.positive, labelled.threshold)
            of_classes = class_metrics(labelled.label, p, of.classes, labelled.pair, predicted)
            kept = ("class_accuracy", "balanced_accuracy", "macro_auc", "pairwise_auc")
            numbers |= {name: of_classes[name] for name in kept}
        found.append(numbers)
    return {
        "seeds": seeds or list(range(len(found))),
        "metrics": {name: asdict(value) for name, value in spread(found).items()},
    }


def shift(val: Answers, test: Answers, names: tuple[str, str], seed: int) -> dict[str, Any]:
    """Scores of validation against those of test.

    Args:
      val: answers on validation.
      test: answers on test.
      names: of the negative and the positive side.
      seed: of the permutations.

    Returns:
      `classes`: rows as components.evaluation.shift.Shift; `warnings`: lines.
    """
    rows = [(split.score, split.patient, split.positive) for split in (val, test)]
    found = score_shift(*rows, seed=seed)
    return {"classes": [asdict(one) for one in found], "warnings": warnings(found, names)}


def on_validation(
    val: Answers, test: Mapping[str, Interval], resamples: int, seed: int
) -> dict[str, Any] | None:
    """What the threshold showed on validation, where it was fixed, and shows on test.

    Returns:
      name -> `validation` and `test` with intervals; None without an image of validation.
    """
    told = val.told()
    if not len(told):
        return None
    found = clustered_bootstrap(
        told.positive, told.score, told.patient, val.threshold, resamples=resamples, seed=seed
    )
    return {
        name: {"validation": as_dict(found[name]), "test": as_dict(test[name])}
        for name in ("sensitivity", "specificity", "accuracy", "auc")
    }
