"""All numbers of a model on a split with intervals by patient: of score, classes and boxes."""

from components.evaluation.answers import Answers
from components.evaluation.bootstrap import Interval, clustered_bootstrap
from components.evaluation.boxes.numbers import box_numbers as numbers_of_boxes
from components.evaluation.multiclass import (
    class_shares,
    class_statistics,
    clustered_bootstrap_of,
)


def score_numbers(answers: Answers, resamples: int, seed: int) -> dict[str, Interval]:
    """Numbers of the score at the model's threshold; empty where no image has a side."""
    told = answers.told()
    if not len(told):
        return {}
    return clustered_bootstrap(
        told.positive, told.score, told.patient, told.threshold, resamples=resamples, seed=seed
    )


def class_numbers(answers: Answers, resamples: int, seed: int) -> dict[str, Interval]:
    """Numbers of the classes, see `multiclass.class_statistics`; empty where none has a label."""
    labelled = answers.labelled()
    if not len(labelled):
        return {}
    classes, predicted = labelled.of.classes, labelled.predicted
    return clustered_bootstrap_of(
        class_statistics(labelled.label, labelled.probabilities, classes, labelled.pair, predicted),
        labelled.patient,
        shares=class_shares(labelled.label, predicted, classes),
        resamples=resamples,
        seed=seed,
    )


def box_numbers(answers: Answers, resamples: int, seed: int) -> dict[str, Interval]:
    """Numbers of the boxes, see `boxes.numbers`; empty where the model predicts none."""
    if not answers.locates or not len(answers):
        return {}
    return numbers_of_boxes(
        answers.truth_boxes.tolist(),
        answers.boxes.tolist(),
        answers.box_scores.tolist(),
        answers.patient,
        float(answers.box_threshold or 0),
        resamples=resamples,
        seed=seed,
    )
