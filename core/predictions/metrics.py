"""All metrics of a model on a split with intervals by patient: of score, classes and boxes."""

from core.metrics.bootstrap import Interval, bootstrap_binary_metrics, clustered_bootstrap
from core.metrics.boxes.summary import box_statistics
from core.metrics.multiclass import class_statistics
from core.predictions.predictions import SplitPredictions


def score_intervals(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, Interval]:
    """Metrics of the score at the model's threshold; empty without an image of a known side."""
    told = answers.with_binary_label()
    if not len(told):
        return {}
    return bootstrap_binary_metrics(
        told.positive, told.score, told.patient, told.threshold, resamples=resamples, seed=seed
    )


def class_intervals(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, Interval]:
    """Metrics of the classes, see `multiclass.class_statistics`; empty without a labelled image."""
    rows = answers.with_class_label()
    if not len(rows):
        return {}
    statistics, shares = class_statistics(
        rows.label, rows.probabilities, rows.task.classes, rows.pair, rows.predicted_label
    )
    return clustered_bootstrap(
        statistics, rows.patient, shares=shares, resamples=resamples, seed=seed
    )


def box_intervals(answers: SplitPredictions, resamples: int, seed: int) -> dict[str, Interval]:
    """Metrics of the boxes, see `box_statistics`; empty where the model predicts none."""
    if not answers.predicts_boxes or not len(answers):
        return {}
    statistics, shares = box_statistics(
        answers.truth_boxes.tolist(),
        answers.boxes.tolist(),
        answers.box_scores.tolist(),
        float(answers.box_threshold or 0),
    )
    return clustered_bootstrap(
        statistics, answers.patient, shares=shares, resamples=resamples, seed=seed
    )
