"""Metrics of the folds as functions of weights, and their intervals by patient."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from core.embedding.records import ImageRecords
from core.metrics.binary import binary_statistics
from core.metrics.bootstrap import Statistics, clustered_bootstrap
from core.metrics.multiclass import class_statistics
from core.metrics.operating_point import predicted_class
from core.metrics.options import EvaluationOptions
from core.metrics.registry import SHIFTED
from core.training.calibration import CalibrationResult
from schema.labels import Task

# Of tasks with more than two classes.
CLASS_METRICS: Final = ("class_accuracy",)

SplitStatistics = tuple[Statistics, Mapping[str, np.ndarray]]


def intervals(
    statistics: SplitStatistics, patients: np.ndarray, options: EvaluationOptions
) -> dict[str, Any]:
    """Returns name -> interval, see `core.metrics.bootstrap.Interval`."""
    values = clustered_bootstrap(
        statistics[0],
        patients,
        shares=statistics[1],
        resamples=options.resamples,
        seed=options.seed,
    )
    return {name: asdict(value) for name, value in values.items()}


def mean_intervals(
    folds: Sequence[SplitStatistics], patients: Sequence[np.ndarray], options: EvaluationOptions
) -> dict[str, Any]:
    """Returns the intervals of the means over folds; see `mean_statistics`."""
    return intervals(mean_statistics(folds), np.concatenate(patients), options)


def mean_statistics(
    parts: Sequence[SplitStatistics],
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the mean of the metrics of several sets of images, as a function of weights.

    The same patient may occur in several sets; its images have the same weight in all of them.

    Args:
      parts: for each set, what `binary_statistics` returns.

    Returns:
      A function of weights [r, n], n the images of all sets one after the other; and name ->
      bool [n], the images in the denominator of each proportion.
    """
    sizes = [len(next(iter(shares.values()))) for _, shares in parts]
    ends = np.cumsum(sizes)

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        values = [
            one(w[:, end - size : end])
            for (one, _), size, end in zip(parts, sizes, ends, strict=True)
        ]
        return {name: np.mean([value[name] for value in values], axis=0) for name in values[0]}

    shares = {name: np.concatenate([one[name] for _, one in parts]) for name in parts[0][1]}
    return statistics, shares


def split_statistics(
    records: ImageRecords, calibrated: CalibrationResult, task: Task
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the binary metrics and, for more than two classes, those of the classes.

    Args:
      records: of n images.
      calibrated: their predictions and the operating point.
      task: defines sides and classes.

    Returns:
      A function of weights [r, n] that returns name -> value [r]; and name -> bool [n], the images
      in the denominator of each proportion.
    """
    positive, labels = records.binary_labels(task), records.class_labels(task)
    known, certain = np.flatnonzero(positive >= 0), np.flatnonzero(labels >= 0)
    threshold = calibrated.summary["threshold"]
    of_score, score_shares = binary_statistics(positive[known], calibrated.score[known], threshold)
    parts: list[Any] = [(of_score, score_shares, known, (*SHIFTED, "ece"))]
    if len(task.classes) > 2:
        probabilities, score = calibrated.probabilities[certain], calibrated.score[certain]
        of_classes, class_shares = class_statistics(
            labels[certain],
            probabilities,
            task.classes,
            predicted=predicted_class(probabilities, score, task.positive, threshold),
        )
        parts.append((of_classes, class_shares, certain, CLASS_METRICS))

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        values: dict[str, np.ndarray] = {}
        for function, _, rows, names in parts:
            computed = function(w[:, rows])
            values |= {name: np.asarray(computed[name]) for name in names}
        return values

    shares = {}
    for _, counted, rows, names in parts:
        for name in set(names) & counted.keys():
            shares[name] = np.zeros(len(records), bool)
            shares[name][rows] = counted[name]
    return statistics, shares
