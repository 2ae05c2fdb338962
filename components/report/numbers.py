"""The numbers of the report: computed once, shown on the page and written as JSON."""

import math
from typing import Any

import numpy as np

from components.evaluation.bootstrap import Interval, clustered_bootstrap
from components.evaluation.metrics import confusion
from components.report.data import Predicted, ReportData

MISTAKES = 6
_SLICED = ("sensitivity", "specificity", "accuracy")


def report_numbers(data: ReportData) -> dict[str, Any]:
    """Everything on the page that is not a picture; plain values, ready for JSON.

    NaN and infinity become None.
    """
    numbers: dict[str, Any] = {
        "name": data.name,
        "notices": data.notices,
        "dataset": data.dataset,
        "leakage": _leakage(data.leakage),
        "training": data.training,
        "history": data.history,
        "threshold": data.threshold,
        "classes": list(data.classes),
        "bootstrap": {
            "resamples": data.resamples,
            "seed": data.seed,
            "level": 0.95,
            "unit": "patient",
        },
        "blessing": data.blessing,
        "pushed": data.pushed,
        "config": data.config,
        "versions": data.versions,
        "nodes": data.nodes,
    }
    predicted = data.predictions
    if predicted is not None and len(predicted):
        metrics = _metrics(predicted, data)
        numbers["metrics"] = metrics
        numbers["test"] = {
            "images": len(predicted),
            "patients": len(set(predicted.patient)),
            "positives": int(predicted.label.sum()),
        }
        counts = confusion(predicted.label, predicted.score, data.threshold)
        numbers["confusion"] = counts.__dict__
        numbers["slices"] = slices(predicted, data)
        shown = [metrics, *(row["metrics"] for row in numbers["slices"])]
        numbers["flawless"] = any(value["exact"] for part in shown for value in part.values())
        numbers["mistakes"] = mistakes(predicted, data.threshold)
        numbers["tfma"] = against_tfma(metrics, (data.tfma or {}).get("overall"))
    return plain(numbers)


def _metrics(predicted: Predicted, data: ReportData) -> dict[str, dict[str, Any]]:
    found = clustered_bootstrap(
        predicted.label,
        predicted.score,
        predicted.patient,
        data.threshold,
        resamples=data.resamples,
        seed=data.seed,
    )
    return {name: _interval(value) for name, value in found.items()}


def _interval(value: Interval) -> dict[str, Any]:
    return {
        "estimate": value.estimate,
        "low": value.low,
        "high": value.high,
        "resamples_used": value.resamples_used,
        "exact": value.exact,
    }


def slices(predicted: Predicted, data: ReportData) -> list[dict[str, Any]]:
    """Numbers of each pathogen and each source batch, with what is defined there."""
    rows: list[dict[str, Any]] = []
    for feature, values in (("pathogen", predicted.pathogen), ("source", predicted.source)):
        for value in sorted(set(values)):
            part = predicted.where(values == value)
            metrics = _metrics(part, data)
            rows.append(
                {
                    "feature": feature,
                    "value": str(value),
                    "images": len(part),
                    "patients": len(set(part.patient)),
                    "metrics": {name: metrics[name] for name in _SLICED},
                }
            )
    return rows


def mistakes(predicted: Predicted, threshold: float) -> dict[str, list[dict[str, Any]]]:
    """The most confident mistakes: positives with the lowest, negatives with the highest score."""
    called = predicted.score >= threshold

    def rows(chosen: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "sha256": str(predicted.sha256[i]),
                "filename": str(predicted.filename[i]),
                "pathogen": str(predicted.pathogen[i]),
                "score": float(predicted.score[i]),
            }
            for i in chosen[:MISTAKES]
        ]

    by_score = np.argsort(predicted.score, kind="stable")
    missed = by_score[(predicted.label == 1)[by_score] & ~called[by_score]]
    alarms = by_score[::-1]
    alarms = alarms[(predicted.label == 0)[alarms] & called[alarms]]
    return {"missed": rows(missed), "false_alarms": rows(alarms)}


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


def plain(value: Any) -> Any:
    """The same with Python's own types; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
