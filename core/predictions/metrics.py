"""All metrics of a model on a split, with confidence intervals by patient."""

from core.metrics.binary import bootstrap_binary_metrics
from core.metrics.bootstrap import Interval, clustered_bootstrap
from core.metrics.boxes.summary import box_statistics
from core.metrics.multiclass import class_statistics
from core.predictions.predictions import SplitPredictions


def score_intervals(
    predictions: SplitPredictions, resamples: int, seed: int
) -> dict[str, Interval]:
    """Computes the binary metrics at the model's threshold; empty without labeled images."""
    labeled = predictions.with_binary_label()
    if not len(labeled):
        return {}
    return bootstrap_binary_metrics(
        labeled.positive,
        labeled.score,
        labeled.patient,
        labeled.threshold,
        resamples=resamples,
        seed=seed,
    )


def class_intervals(
    predictions: SplitPredictions, resamples: int, seed: int
) -> dict[str, Interval]:
    """Computes the metrics of `class_statistics`; empty without labeled images."""
    labeled = predictions.with_class_label()
    if not len(labeled):
        return {}
    statistics, shares = class_statistics(
        labeled.label,
        labeled.probabilities,
        labeled.task.classes,
        labeled.pair,
        labeled.predicted_label,
    )
    return clustered_bootstrap(
        statistics, labeled.patient, shares=shares, resamples=resamples, seed=seed
    )


def box_intervals(predictions: SplitPredictions, resamples: int, seed: int) -> dict[str, Interval]:
    """Computes the metrics of `box_statistics`; empty if the model predicts no boxes."""
    if not predictions.predicts_boxes or not len(predictions):
        return {}
    statistics, shares = box_statistics(
        predictions.truth_boxes.tolist(),
        predictions.boxes.tolist(),
        predictions.box_scores.tolist(),
        float(predictions.box_threshold or 0),
    )
    return clustered_bootstrap(
        statistics, predictions.patient, shares=shares, resamples=resamples, seed=seed
    )
