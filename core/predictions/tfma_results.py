"""Results of TFX's Evaluator."""

import json
from pathlib import Path
from typing import Any


def tfma_metrics(folder: str) -> dict[str, dict[str, float]]:
    """Reads slice -> metric -> value from an Evaluator's output.

    The whole split is named "overall", other slices "feature=value". NaN, which TFMA writes as
    text, becomes a float.
    """
    import tensorflow_model_analysis as tfma

    metrics: dict[str, dict[str, float]] = {}
    for key, outputs in tfma.load_eval_result(folder).slicing_metrics:
        name = ", ".join(f"{feature}={value}" for feature, value in key) or "overall"
        values = outputs.get("", {}).get("", {})
        metrics[name] = {
            metric: float(value["doubleValue"])
            for metric, value in values.items()
            if "doubleValue" in value
        }
    return metrics


def tfma_rules(folder: str) -> list[dict[str, Any]]:
    """Reads the results of the absolute bounds in TFMA; empty if there are none.

    Returns:
      Rows of `metric`, `kind`, `bound`, `value`, `ok`.
    """
    import tensorflow_model_analysis as tfma

    bounds = [
        (json.loads(metric.config or "{}").get("name", metric.class_name), bound.threshold)
        for spec in tfma.load_eval_result(folder).config.metrics_specs
        for metric in spec.metrics
        for bound in metric.per_slice_thresholds
    ]
    if not bounds or not any(Path(folder).glob("validations*")):
        return []
    failed = {
        failure.metric_key.name
        for part in tfma.load_validation_result(folder).metric_validations_per_slice
        for failure in part.failures
    }
    values = tfma_metrics(folder).get("overall", {})
    return [
        {
            "metric": name,
            "kind": "at least",
            "bound": bound.value_threshold.lower_bound.value,
            "value": values.get(name),
            "ok": name not in failed,
        }
        for name, bound in bounds
    ]
