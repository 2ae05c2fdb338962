"""The numbers of the report: computed once, shown on the page and written as JSON."""

from typing import Any

import numpy as np

from components.evaluation.answers import Answers
from components.evaluation.metrics import confusion
from components.evaluation.multiclass import confusion_matrix
from components.evaluation.on_split import class_numbers, score_numbers
from components.report import reliability
from components.report.boxes import box_section
from components.report.data import ReportData
from components.report.heat import heat_section
from components.report.plain import as_dict, plain
from components.report.slices import slices

MISTAKES = 6


def report_numbers(data: ReportData) -> dict[str, Any]:
    """Everything on the page that is not a picture; plain values, ready for JSON.

    NaN and infinity become None.
    """
    first = next(iter(data.histories.values()), None)
    numbers: dict[str, Any] = {
        "name": data.name,
        "notices": data.notices,
        "dataset": data.dataset,
        "leakage": _leakage(data.leakage),
        "training": data.training,
        "history": first,
        "bootstrap": {
            "resamples": data.resamples,
            "seed": data.seed,
            "level": 0.95,
            "unit": "patient",
        },
        "blessing": data.blessing,
        "infra": data.infra,
        "pushed": data.pushed,
        "config": data.config,
        "versions": data.versions,
    }
    if data.answers is not None and len(data.answers.told()):
        numbers |= _test(data.answers, data)
    return plain(numbers)


def sides(answers: Answers) -> tuple[str, str]:
    """Names of the negative and the positive side, as "NORMAL" and "BACTERIA or VIRUS"."""
    names = answers.of.classes
    negative, positive = (
        " or ".join(names[i] for i in of) for of in (answers.of.negative, answers.of.positive)
    )
    return negative, positive


def _test(answers: Answers, data: ReportData) -> dict[str, Any]:
    told = answers.told()
    repeat = data.resamples, data.seed
    metrics = score_numbers(answers, *repeat)
    found: dict[str, Any] = {
        "task": answers.of.name,
        "classes": list(answers.of.classes),
        "sides": list(sides(answers)),
        "threshold": answers.threshold,
        "temperature": answers.temperature,
        "test": {
            "images": len(told),
            "patients": len(set(told.patient.tolist())),
            "positives": int(told.positive.sum()),
            "left_out": len(answers) - len(told),
        },
        "metrics": {name: as_dict(value) for name, value in metrics.items()},
        "confusion": confusion(told.positive, told.score, told.threshold).__dict__,
        "slices": slices(answers, *repeat),
        "calibration": reliability.calibrated(answers, *repeat),
        "predictive_values": reliability.values_over_prevalence(metrics),
        "coverage": reliability.coverage(answers, *repeat),
        "abstention": reliability.abstention(answers, *repeat),
        "members": reliability.member_spread(answers, (data.training or {}).get("seeds")),
        "mistakes": mistakes(answers),
    }
    if len(answers.of.classes) > 2:
        found["classes_on_test"] = classes_on_test(answers, *repeat)
    if (boxes := box_section(answers, data.val, data.boxes, *repeat)) is not None:
        found["boxes"] = boxes
    if (explained := heat_section(answers, data.heat, *repeat)) is not None:
        found["explain"] = explained
    if data.val is not None:
        found["operating_point"] = reliability.on_validation(data.val, metrics, *repeat)
        found["shift"] = reliability.shift(data.val, answers, sides(answers), data.seed)
    found["tfma"] = against_tfma(found["metrics"], (data.tfma or {}).get("overall"))
    found["flawless"] = _any_exact(found)
    return found


def classes_on_test(answers: Answers, resamples: int, seed: int) -> dict[str, Any] | None:
    """Numbers of more than two classes, with intervals; None without a labelled image.

    Returns:
      `images`, `metrics` (see components.evaluation.multiclass), `matrix` [C][C] (row the true
      class), `pair` (names of the classes of pairwise_auc).
    """
    labelled = answers.labelled()
    if not len(labelled):
        return None
    classes = answers.of.classes
    found = class_numbers(answers, resamples, seed)
    return {
        "images": len(labelled),
        "metrics": {name: as_dict(value) for name, value in found.items()},
        "matrix": confusion_matrix(labelled.label, labelled.predicted, len(classes)),
        "pair": [classes[i] for i in answers.pair or range(len(classes))],
    }


def mistakes(answers: Answers) -> dict[str, list[dict[str, Any]]]:
    """The most confident mistakes.

    Returns:
      `missed`: positives with the lowest score; `false_alarms`: negatives with the highest;
      `wrong_class`: images on the right side whose class is wrong, by the probability of the wrong
      one (only with more than two classes).
    """
    told = answers.told()

    def rows(of: Answers, chosen: np.ndarray, named: bool = False) -> list[dict[str, Any]]:
        predicted = of.predicted
        return [
            {
                "sha256": str(of.sha256[i]),
                "filename": str(of.filename[i]),
                "pathogen": str(of.pathogen[i]),
                "score": float(of.score[i]),
                **(
                    {
                        "predicted": of.of.classes[predicted[i]],
                        "probability": float(of.probabilities[i, predicted[i]]),
                    }
                    if named
                    else {}
                ),
            }
            for i in chosen[:MISTAKES]
        ]

    by_score = np.argsort(told.score, kind="stable")
    missed = by_score[(told.positive == 1)[by_score] & (told.called == 0)[by_score]]
    alarms = by_score[::-1]
    alarms = alarms[(told.positive == 0)[alarms] & (told.called == 1)[alarms]]
    found = {"missed": rows(told, missed), "false_alarms": rows(told, alarms)}
    if len(answers.of.classes) > 2:
        labelled = answers.labelled()
        predicted = labelled.predicted
        sure = labelled.probabilities[np.arange(len(labelled)), predicted]
        wrong = (predicted != labelled.label) & (labelled.called == labelled.positive)
        order = np.argsort(-sure, kind="stable")
        found["wrong_class"] = rows(labelled, order[wrong[order]], named=True)
    return found


def against_tfma(
    metrics: dict[str, dict[str, Any]], tfma: dict[str, float] | None
) -> list[dict[str, Any]] | None:
    """Our numbers beside those of TFMA, which sums the AUC over 10,000 thresholds."""
    if tfma is None:
        return None
    return [
        {
            "metric": name,
            "ours": value["estimate"],
            "tfma": tfma[name],
            "difference": value["estimate"] - tfma[name],
        }
        for name, value in metrics.items()
        if name in tfma
    ]


def _leakage(leakage: dict[str, Any] | None) -> dict[str, Any] | None:
    if leakage is None:
        return None
    return {key: leakage.get(key) for key in ("ok", "counts", "notes")}


def _any_exact(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("exact") is True or any(_any_exact(item) for item in value.values())
    if isinstance(value, list):
        return any(_any_exact(item) for item in value)
    return False
