"""The TFMA configuration: numbers, slices, and absolute bounds as a second opinion."""

from typing import TYPE_CHECKING, Any

from components.evaluation.options import EvaluationOptions
from schema import features as f

if TYPE_CHECKING:
    import tensorflow_model_analysis as tfma

# Our name, and TFMA's class. The first need no threshold.
RANKING = {"auc": "AUC", "auc_pr": "AUCPrecisionRecall"}
AT_THRESHOLD = {
    "accuracy": "BinaryAccuracy",
    "sensitivity": "Recall",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1Score",
}
METRICS = RANKING | AT_THRESHOLD
SLICES = (f.PATHOGEN, f.IMAGE_SOURCE)


def eval_config(options: EvaluationOptions) -> "tfma.EvalConfig":
    """Builds the configuration of the Evaluator.

    TFMA counts what is positive in the task against the score, and images without a place in the
    task with weight 0. It is asked for numbers at a threshold only where the configuration fixes
    it: a threshold that is chosen on validation is not known before the model is.

    Bounds hold on the whole split alone: on a slice of one class an AUC is not defined, and TFMA
    would refuse every model. The Gate decides; what TFMA says of the same bounds is shown with it.

    Args:
      options: operating point and gate.
    """
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2

    point = options.operating_point
    names = dict(RANKING if point.rule != "fixed" else METRICS)

    def metric(name: str) -> "tfma.MetricConfig":
        import json

        settings: dict[str, Any] = {"name": name}
        if name == "accuracy":
            settings["threshold"] = point.threshold
        elif name in AT_THRESHOLD:
            settings["thresholds"] = [point.threshold]
        config = tfma.MetricConfig(class_name=names[name], config=json.dumps(settings))
        rule = options.gate.get(name)
        if rule is not None:
            bound = tfma.MetricThreshold()
            bound.value_threshold.lower_bound.value = rule.min
            config.per_slice_thresholds.append(
                config_pb2.PerSliceMetricThreshold(
                    slicing_specs=[tfma.SlicingSpec()], threshold=bound
                )
            )
        return config

    metrics = [metric(name) for name in names]
    metrics += [
        tfma.MetricConfig(class_name=name)
        for name in (
            "ExampleCount",
            "WeightedExampleCount",
            "MeanLabel",
            "MeanPrediction",
            "Calibration",
        )
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
                example_weight_key=f.WEIGHT,
                preprocessing_function_names=["labels"],
            )
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=[name]) for name in SLICES),
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )
