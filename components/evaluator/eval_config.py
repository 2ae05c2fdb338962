"""Configuration of TFMA: metrics, slices, and the absolute bounds that the Gate checks too."""

import json
from typing import TYPE_CHECKING

from core.metrics.options import EvaluationOptions
from core.metrics.registry import METRICS, Metric
from schema import features as f

if TYPE_CHECKING:
    import tensorflow_model_analysis as tfma

OTHERS = (
    "ExampleCount",
    "WeightedExampleCount",
    "MeanLabel",
    "MeanPrediction",
    "Calibration",
    "ConfusionMatrixPlot",
    "CalibrationPlot",
)
SLICES = (f.PATHOGEN, f.IMAGE_SOURCE)


def eval_config(options: EvaluationOptions) -> "tfma.EvalConfig":
    """Builds the configuration of the Evaluator.

    TFMA compares the score with the positive label; images outside the task have weight 0. Metrics
    at a threshold are included only if the configuration fixes the threshold: a threshold chosen on
    validation is unknown before training.

    Bounds apply to the whole split only: the AUC is undefined on a slice of one class, and TFMA
    would not bless any model. The Gate decides; TFMA's result for the same bounds is reported too.

    Args:
      options: operating point and gate.
    """
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    point = options.operating_point
    whole = tfma.SlicingSpec()

    def metric_config(name: str, metric: Metric) -> "tfma.MetricConfig":
        settings: dict[str, object] = {"name": name}
        if name == "accuracy":
            settings["threshold"] = point.threshold
        elif metric.at_threshold:
            settings["thresholds"] = [point.threshold]
        config = tfma.MetricConfig(class_name=metric.tfma, config=json.dumps(settings))
        if rule := options.gate.get(name):
            bound = tfma.MetricThreshold()
            bound.value_threshold.lower_bound.value = rule.min
            config.per_slice_thresholds.append(
                config_pb2.PerSliceMetricThreshold(slicing_specs=[whole], threshold=bound)
            )
        return config

    metrics = [
        metric_config(name, metric)
        for name, metric in METRICS.items()
        if metric.tfma and (point.rule == "fixed" or not metric.at_threshold)
    ]
    metrics += [tfma.MetricConfig(class_name=name) for name in OTHERS]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="examples",
                prediction_key="score",
                label_key=f.LABEL,
                example_weight_key=f.WEIGHT,
                preprocessing_function_names=["labels"],
            )
        ],
        slicing_specs=[whole, *(tfma.SlicingSpec(feature_keys=[name]) for name in SLICES)],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )
