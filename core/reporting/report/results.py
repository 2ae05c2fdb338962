"""Results of the report, computed once for the page and for the JSON file."""

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
from core.reporting.report.decisions.flow import image_flow
from core.reporting.report.decisions.net_benefit import decision_curve_section
from core.reporting.report.decisions.prediction_sets import prediction_sets_section
from core.reporting.report.example_images import mistakes
from core.reporting.report.heat_maps import heat_map_section
from core.reporting.report.slices import slices
from schema.files import json_values


def report_results(data: ReportData) -> dict[str, Any]:
    """Returns everything on the page except pictures, as JSON types without NaN."""
    numbers: dict[str, Any] = {
        "name": data.name,
        "notices": notices(data.dataset, data.training),
        "dataset": data.dataset,
        "leakage": data.leakage
        and {key: data.leakage.get(key) for key in ("ok", "counts", "notes")},
        "training": data.training,
        "shifted_validation": data.shifted,
        "history": next(iter(data.histories.values()), None),
        "bootstrap": bootstrap_settings(data.resamples, data.seed),
        "blessing": data.blessing,
        "infra": data.infra,
        "stress_test": data.stress_test,
        "pushed": data.pushed,
        "config": data.config,
        "versions": data.versions,
    }
    if data.predictions is not None and len(data.predictions.with_binary_label()):
        numbers |= _test_results(data.predictions, data)
    return json_values(numbers)


def sides(predictions: SplitPredictions) -> tuple[str, str]:
    """Returns the names of the negative and the positive side, as "BACTERIA or VIRUS"."""
    names = predictions.task.classes
    negative, positive = (
        " or ".join(names[i] for i in side)
        for side in (predictions.task.negative, predictions.task.positive)
    )
    return negative, positive


def _test_results(predictions: SplitPredictions, data: ReportData) -> dict[str, Any]:
    labeled = predictions.with_binary_label()
    bootstrap, names = (data.resamples, data.seed), reliability.member_names(data.training)
    metrics = score_intervals(predictions, *bootstrap)
    results: dict[str, Any] = {
        "task": predictions.task.name,
        "classes": list(predictions.task.classes),
        "sides": list(sides(predictions)),
        "threshold": predictions.threshold,
        "temperature": predictions.temperature,
        "test": {
            "images": len(labeled),
            "patients": len(set(labeled.patient.tolist())),
            "positives": int(labeled.positive.sum()),
            "left_out": len(predictions) - len(labeled),
        },
        "metrics": intervals(metrics),
        "confusion": vars(confusion_counts(labeled.positive, labeled.score, labeled.threshold)),
        "flow": image_flow(data.dataset, predictions),
        "decision_curve": decision_curve_section(predictions, *bootstrap),
        "slices": slices(predictions, *bootstrap),
        "calibration": reliability.calibration_metrics(predictions, *bootstrap),
        "predictive_values": reliability.predictive_values_by_prevalence(metrics),
        "coverage": reliability.coverage(predictions, *bootstrap),
        "abstention": reliability.abstention(predictions, *bootstrap),
        "members": reliability.member_spread(predictions, names),
        "mistakes": mistakes(predictions),
    }
    if len(predictions.task.classes) > 2:
        results["classes_on_test"] = classes_on_test(predictions, *bootstrap)
    if (boxes := box_section(predictions, data.val, data.boxes, *bootstrap)) is not None:
        results["boxes"] = boxes
    if (heat_maps := heat_map_section(predictions, data.heat_maps, *bootstrap)) is not None:
        results["explain"] = heat_maps
    if data.val is not None:
        results["agreement"] = reliability.member_correlation(data.val, names, *bootstrap)
        results["operating_point"] = reliability.operating_point_metrics(
            data.val, metrics, *bootstrap
        )
        results["prediction_sets"] = prediction_sets_section(
            data.val, predictions, data.held_out, *bootstrap
        )
        results["shift"] = reliability.shift_section(
            data.val, predictions, sides(predictions), data.seed
        )
    results["tfma"] = compare_with_tfma(results["metrics"], (data.tfma or {}).get("overall"))
    results["flawless"] = _any_exact(results)
    return results


def classes_on_test(
    predictions: SplitPredictions, resamples: int, seed: int
) -> dict[str, Any] | None:
    """Returns the numbers of more than two classes; None without a labeled image.

    Returns:
      `images`, `metrics` (see core.metrics.multiclass), `matrix` [C][C] (rows are true
      classes), `pair` (classes of pairwise_auc).
    """
    labeled_images = predictions.with_class_label()
    if not len(labeled_images):
        return None
    classes = predictions.task.classes
    return {
        "images": len(labeled_images),
        "metrics": intervals(class_intervals(predictions, resamples, seed)),
        "matrix": confusion_matrix(
            labeled_images.label, labeled_images.predicted_label, len(classes)
        ),
        "pair": [classes[i] for i in predictions.pair or range(len(classes))],
    }


def compare_with_tfma(
    metrics: dict[str, dict[str, Any]], tfma: dict[str, float] | None
) -> list[dict[str, Any]] | None:
    """Compares with TFMA, which approximates areas with 10,000 thresholds."""
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
