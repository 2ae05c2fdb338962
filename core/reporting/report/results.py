"""Computes the numbers of the report once, for the page and for the JSON file."""

from typing import Any

from core.metrics.binary import confusion_counts
from core.metrics.multiclass import confusion_matrix
from core.predictions.metrics import class_intervals, score_intervals
from core.predictions.predictions import SplitPredictions
from core.reporting.format import bootstrap_settings, intervals
from core.reporting.notices import notices
from core.reporting.report import reliability
from core.reporting.report.boxes import box_section
from core.reporting.report.data import ReportData
from core.reporting.report.example_images import mistakes
from core.reporting.report.heat_maps import heat_map_section
from core.reporting.report.slices import slices
from schema.files import json_values


def report_results(data: ReportData) -> dict[str, Any]:
    """Returns everything on the page that is not a picture, as JSON types without NaN."""
    numbers: dict[str, Any] = {
        "name": data.name,
        "notices": notices(data.dataset, data.training),
        "dataset": data.dataset,
        "leakage": data.leakage
        and {key: data.leakage.get(key) for key in ("ok", "counts", "notes")},
        "training": data.training,
        "history": next(iter(data.histories.values()), None),
        "bootstrap": bootstrap_settings(data.resamples, data.seed),
        "blessing": data.blessing,
        "infra": data.infra,
        "pushed": data.pushed,
        "config": data.config,
        "versions": data.versions,
    }
    if data.answers is not None and len(data.answers.with_binary_label()):
        numbers |= _test(data.answers, data)
    return json_values(numbers)


def sides(answers: SplitPredictions) -> tuple[str, str]:
    """Returns the names of the negative and the positive side, as "BACTERIA or VIRUS"."""
    names = answers.task.classes
    negative, positive = (
        " or ".join(names[i] for i in side)
        for side in (answers.task.negative, answers.task.positive)
    )
    return negative, positive


def _test(answers: SplitPredictions, data: ReportData) -> dict[str, Any]:
    sided = answers.with_binary_label()
    bootstrap = data.resamples, data.seed
    metrics = score_intervals(answers, *bootstrap)
    found: dict[str, Any] = {
        "task": answers.task.name,
        "classes": list(answers.task.classes),
        "sides": list(sides(answers)),
        "threshold": answers.threshold,
        "temperature": answers.temperature,
        "test": {
            "images": len(sided),
            "patients": len(set(sided.patient.tolist())),
            "positives": int(sided.positive.sum()),
            "left_out": len(answers) - len(sided),
        },
        "metrics": intervals(metrics),
        "confusion": vars(confusion_counts(sided.positive, sided.score, sided.threshold)),
        "slices": slices(answers, *bootstrap),
        "calibration": reliability.calibrated(answers, *bootstrap),
        "predictive_values": reliability.values_over_prevalence(metrics),
        "coverage": reliability.coverage(answers, *bootstrap),
        "abstention": reliability.abstention(answers, *bootstrap),
        "members": reliability.member_spread(answers, (data.training or {}).get("seeds")),
        "mistakes": mistakes(answers),
    }
    if len(answers.task.classes) > 2:
        found["classes_on_test"] = classes_on_test(answers, *bootstrap)
    if (boxes := box_section(answers, data.val, data.boxes, *bootstrap)) is not None:
        found["boxes"] = boxes
    if (explained := heat_map_section(answers, data.heat, *bootstrap)) is not None:
        found["explain"] = explained
    if data.val is not None:
        found["operating_point"] = reliability.on_validation(data.val, metrics, *bootstrap)
        found["shift"] = reliability.shift(data.val, answers, sides(answers), data.seed)
    found["tfma"] = against_tfma(found["metrics"], (data.tfma or {}).get("overall"))
    found["flawless"] = _any_exact(found)
    return found


def classes_on_test(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, Any] | None:
    """Returns the numbers of more than two classes; None without a labelled image.

    Returns:
      `images`, `metrics` (see core.metrics.multiclass), `matrix` [C][C] (rows are true
      classes), `pair` (classes of pairwise_auc).
    """
    labelled = answers.with_class_label()
    if not len(labelled):
        return None
    classes = answers.task.classes
    return {
        "images": len(labelled),
        "metrics": intervals(class_intervals(answers, resamples, seed)),
        "matrix": confusion_matrix(labelled.label, labelled.predicted_label, len(classes)),
        "pair": [classes[i] for i in answers.pair or range(len(classes))],
    }


def against_tfma(
    metrics: dict[str, dict[str, Any]], tfma: dict[str, float] | None
) -> list[dict[str, Any]] | None:
    """Compares with TFMA, which approximates the AUC with 10,000 thresholds."""
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


def _any_exact(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("exact") is True or any(_any_exact(item) for item in value.values())
    return isinstance(value, list) and any(_any_exact(item) for item in value)
