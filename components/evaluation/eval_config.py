"""The TFMA configuration: which numbers, on which slices, and what a model must reach."""

from typing import TYPE_CHECKING, Any

from components.evaluation.options import EvaluationOptions
from schema import features as f

if TYPE_CHECKING:
    import tensorflow_model_analysis as tfma

# TFMA's class, and the name under which it reports the number.
METRICS = {
    "auc": "AUC",
    "auc_pr": "AUCPrecisionRecall",
    "accuracy": "BinaryAccuracy",
    "sensitivity": "Recall",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1Score",
}
SLICES = (f.PATHOGEN, f.IMAGE_SOURCE)


def eval_config(options: EvaluationOptions) -> "tfma.EvalConfig":
    """Builds the configuration of the Evaluator.

    Absolute and change bounds hold on the whole split alone: on a slice of one class an AUC is not
    defined, and TFMA would refuse every model.

    Args:
      options: threshold and gate.
    """
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    def metric(name: str) -> "tfma.MetricConfig":
        import json

        kind = METRICS[name]
        settings: dict[str, Any] = {"name": name}
        if name in ("sensitivity", "specificity", "precision", "f1"):
            settings["thresholds"] = [options.threshold]
        elif name == "accuracy":
            settings["threshold"] = options.threshold
        config = tfma.MetricConfig(class_name=kind, config=json.dumps(settings))
        rule = options.gate.get(name)
        if rule is None:
            return config
        bound = tfma.MetricThreshold()
        if rule.min is not None:
            bound.value_threshold.lower_bound.value = rule.min
        if rule.max_drop is not None:
            bound.change_threshold.direction = tfma.MetricDirection.HIGHER_IS_BETTER
            bound.change_threshold.absolute.value = -rule.max_drop
        config.per_slice_thresholds.append(
            config_pb2.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=bound)
        )
        return config

    metrics = [metric(name) for name in METRICS]
    metrics += [
        tfma.MetricConfig(class_name=name)
        for name in ("ExampleCount", "MeanLabel", "MeanPrediction", "Calibration")
    ]
    metrics += [
        tfma.MetricConfig(class_name="ConfusionMatrixPlot"),
        tfma.MetricConfig(class_name="CalibrationPlot"),
    ]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="examples",
                prediction_key="score",
                label_key=f.LABEL,
                preprocessing_function_names=["labels"],
            )
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=[name]) for name in SLICES),
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )
