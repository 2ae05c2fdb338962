"""Numbers of a classifier of several classes, from weights of images, many resamples at once.

Throughout: labels int [n] in 0..C-1, probabilities float [n, C], weights float [r, n]: how often
each image counts in each resample. A number that is not defined is NaN, never 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from components.evaluation.bootstrap import (
    Interval,
    RankedAuc,
    exact_bounds,
    interval_of,
    patient_weights,
)

Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def check(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 [n] and probabilities as float64 [n, C].

    Raises:
      ValueError: lengths differ, a label is not a class, or a probability is not a number.
    """
    y, p = np.asarray(labels), np.asarray(probabilities, np.float64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise ValueError(f"labels {y.shape} and probabilities {p.shape} do not belong together")
    if len(y) and (y.min() < 0 or y.max() >= p.shape[1]):
        bad = int(np.flatnonzero((y < 0) | (y >= p.shape[1]))[0])
        raise ValueError(f"label {y[bad]} at {bad} is not one of {p.shape[1]} classes")
    if not np.isfinite(p).all():
        bad = int(np.argmin(np.isfinite(p).all(axis=1)))
        raise ValueError(f"probabilities {p[bad].tolist()} at {bad} are not all numbers")
    return y.astype(np.int64), p


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts int64 [C, C]: row the true class, column the predicted one."""
    at = np.asarray(labels, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(at, minlength=classes**2).reshape(classes, classes)


def pair_name(classes: tuple[str, ...] | list[str], i: int, j: int) -> str:
    """Name of the pairwise area of classes i and j, as "auc/VIRUS|BACTERIA"."""
    return f"auc/{classes[i]}|{classes[j]}"


def class_statistics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: tuple[str, ...] | list[str],
    pair: tuple[int, ...] = (),
    predicted: np.ndarray | None = None,
) -> Statistics:
    """Prepares all numbers of several classes, as a function of weights.

    Names: `class_accuracy`; `balanced_accuracy` (mean recall of the classes that are there);
    `macro_auc` (mean one-vs-rest area, Provost & Domingos 2000; not defined unless each class is
    there); `pairwise_auc` (mean area over pairs among `pair`, of all classes where empty; Hand &
    Till 2001 over all); `kappa` (Cohen 1960); `recall/CLASS`, `precision/CLASS`, `auc/CLASS`
    (against the rest); `auc/A|B` (among images of A and B, by p_A / (p_A + p_B)).

    Args:
      labels: int [n].
      probabilities: float [n, C].
      classes: C names.
      pair: classes whose pairs `pairwise_auc` averages, such as the two pathogens.
      predicted: int [n], the class that is answered; none: the most probable one.

    Raises:
      ValueError: see `check`.
    """
    y, p = check(labels, probabilities)
    count = p.shape[1]
    if len(classes) != count:
        raise ValueError(f"{len(classes)} class names for {count} columns of probabilities")
    called_class = p.argmax(axis=1) if predicted is None else np.asarray(predicted)
    is_true = np.eye(count)[y]
    is_called = np.eye(count)[called_class]
    hit = (called_class == y).astype(np.float64)
    rest = [RankedAuc(y == c, p[:, c]) for c in range(count)]
    pairs: dict[tuple[int, int], tuple[np.ndarray, RankedAuc]] = {}
    for i in range(count):
        for j in range(i + 1, count):
            among = np.flatnonzero((y == i) | (y == j))
            both = p[among, i] + p[among, j]
            share = np.divide(p[among, i], both, out=np.full(len(among), 0.5), where=both > 0)
            pairs[i, j] = (among, RankedAuc(y[among] == i, share))
    averaged = [key for key in pairs if not pair or set(key) <= set(pair)] or list(pairs)

    def numbers(w: np.ndarray) -> dict[str, np.ndarray]:
        total = w.sum(axis=1)
        true, called = w @ is_true, w @ is_called  # [r, C]
        right = w @ (is_true * hit[:, None])
        found: dict[str, np.ndarray] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy = right.sum(axis=1) / total
            recall, precision = right / true, right / called
            there = true > 0
            balanced = np.where(there, recall, 0).sum(axis=1) / there.sum(axis=1)
            chance = (true * called).sum(axis=1) / total**2
            kappa = np.where(chance < 1, (accuracy - chance) / (1 - chance), np.nan)
            areas = np.stack([area(w) for area in rest], axis=1)
            of_pairs = {key: area(w[:, among]) for key, (among, area) in pairs.items()}
            found["class_accuracy"] = accuracy
            found["balanced_accuracy"] = balanced
            found["macro_auc"] = areas.mean(axis=1)
            found["pairwise_auc"] = np.mean([of_pairs[key] for key in averaged], axis=0)
            found["kappa"] = kappa
        for c, name in enumerate(classes):
            found[f"recall/{name}"] = recall[:, c]
            found[f"precision/{name}"] = precision[:, c]
            found[f"auc/{name}"] = areas[:, c]
        for (i, j), values in of_pairs.items():
            found[pair_name(classes, i, j)] = values
        return found

    return numbers


def class_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: tuple[str, ...] | list[str],
    pair: tuple[int, ...] = (),
    predicted: np.ndarray | None = None,
) -> dict[str, float]:
    """The numbers of `class_statistics` on the data as they are; all NaN without images."""
    found = class_statistics(labels, probabilities, classes, pair, predicted)(
        np.ones((1, len(labels)))
    )
    return {name: float(value[0]) for name, value in found.items()}


def clustered_bootstrap_of(
    statistics: Statistics,
    groups: np.ndarray,
    *,
    shares: Mapping[str, np.ndarray] | None = None,
    resamples: int = 2000,
    seed: int,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of any numbers, from resampling whole patients with replacement.

    As `bootstrap.clustered_bootstrap`, for numbers that are given as a function of weights.

    Args:
      statistics: weights float [r, n] -> name -> value [r], NaN where not defined.
      groups: [n], equal values are one patient.
      shares: name -> bool [n]: the images that a share counts. Where such a share is 0 or 1 its
        bounds are exact, see `bootstrap.exact_bounds`.
      resamples: how many.
      seed: of the draws.
      level: of the interval.

    Raises:
      ValueError: no images.
    """
    _, patient = np.unique(np.asarray(groups), return_inverse=True)
    if not len(patient):
        raise ValueError("no images: an interval needs at least one")
    estimates = {name: float(v[0]) for name, v in statistics(np.ones((1, len(patient)))).items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in estimates}
    for weights in patient_weights(patient, resamples, seed):
        for name, values in statistics(weights).items():
            drawn[name].append(values)
    tail = (1 - level) / 2
    found = {}
    for name, chunks in drawn.items():
        interval = interval_of(estimates[name], np.concatenate(chunks), tail)
        counted = (shares or {}).get(name)
        if counted is not None and counted.any() and interval.estimate in {0.0, 1.0}:
            patients = len(np.unique(patient[counted]))
            low, high = exact_bounds(interval.estimate, patients, level)
            interval = replace(interval, low=low, high=high, exact=True)
        found[name] = interval
    return found


def class_shares(
    labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...] | list[str]
) -> dict[str, np.ndarray]:
    """Which images each share of `class_statistics` counts, for `clustered_bootstrap_of`."""
    y, called = np.asarray(labels), np.asarray(predicted)
    found = {"class_accuracy": np.ones(len(y), bool)}
    for c, name in enumerate(classes):
        found[f"recall/{name}"] = y == c
        found[f"precision/{name}"] = called == c
    return found
