"""Multiclass metrics.

Throughout, labels are int [n] in 0..C-1 and probabilities are float [n, C]. Undefined metrics are
NaN.
"""

from collections.abc import Sequence

import numpy as np

from core.metrics.binary import WeightedAuc
from core.metrics.bootstrap import Statistics


def check_multiclass(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 [n] and probabilities as float64 [n, C].

    Raises:
      ValueError: lengths differ, a label is not a class, or a probability is not finite.
    """
    y, p = np.asarray(labels), np.asarray(probabilities, np.float64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise ValueError(
            f"labels {y.shape} and probabilities {p.shape} differ in length or number of dimensions"
        )
    known, finite = (y >= 0) & (y < p.shape[1]), np.isfinite(p).all(axis=1)
    if not known.all():
        at = int(np.argmin(known))
        raise ValueError(f"label {y[at]} at index {at} is not one of {p.shape[1]} classes")
    if not finite.all():
        at = int(np.argmin(finite))
        raise ValueError(f"probabilities {p[at].tolist()} at index {at} contain NaN or infinity")
    return y.astype(np.int64), p


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts int64 [C, C]: row the true class, column the predicted one."""
    from sklearn import metrics

    return np.asarray(metrics.confusion_matrix(labels, predicted, labels=range(classes)))


def pair_name(classes: Sequence[str], i: int, j: int) -> str:
    """Returns the key of the pairwise AUC of classes i and j, such as "auc/VIRUS|BACTERIA"."""
    return f"auc/{classes[i]}|{classes[j]}"


def pair_share(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Returns p / (p + q) of the probabilities [n] of two classes; 0.5 where both are 0."""
    return np.divide(p, p + q, out=np.full(len(p), 0.5), where=p + q > 0)


def class_statistics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    pair: tuple[int, ...] = (),
    predicted: np.ndarray | None = None,
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns the multiclass metrics as a function of weights, for the bootstrap.

    Args:
      labels: int [n].
      probabilities: float [n, C].
      classes: C names.
      pair: classes whose pairs `pairwise_auc` averages; empty: all classes.
      predicted: int [n], predicted class; by default the most probable one.

    Returns:
      A function of weights that returns name -> value [r]:
        class_accuracy; balanced_accuracy, mean recall of the classes that occur; kappa (Cohen,
        1960); macro_auc, mean one-against-rest AUC; pairwise_auc, mean over pairs of the AUC of
        p_i / (p_i + p_j) among images of the two classes (Hand & Till, 2001); recall/<class>,
        precision/<class>, auc/<class>, auc/<class>|<class>.
      And name -> bool [n], the images in the denominator of each proportion.

    Raises:
      ValueError: see `check_multiclass`; or the number of names differs.
    """
    y, p = check_multiclass(labels, probabilities)
    count = p.shape[1]
    if len(classes) != count:
        raise ValueError(f"{len(classes)} class names for {count} columns of probabilities")
    predicted_label = p.argmax(axis=1) if predicted is None else np.asarray(predicted)
    is_true, is_predicted = np.eye(count)[y], np.eye(count)[predicted_label]
    rest = [WeightedAuc(y == c, p[:, c]) for c in range(count)]
    pairs: dict[tuple[int, int], tuple[np.ndarray, WeightedAuc]] = {}
    for i, j in zip(*np.triu_indices(count, 1), strict=True):
        among = np.flatnonzero((y == i) | (y == j))
        share = pair_share(p[among, i], p[among, j])
        pairs[int(i), int(j)] = (among, WeightedAuc(y[among] == i, share))
    averaged_pairs = [key for key in pairs if not pair or set(key) <= set(pair)] or list(pairs)

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        total = w.sum(axis=1)
        true, positive = w @ is_true, w @ is_predicted  # [r, C]
        correct = w @ (is_true * is_predicted)
        areas = np.stack([ranked(w) for ranked in rest], axis=1)
        pair_areas = {key: ranked(w[:, among]) for key, (among, ranked) in pairs.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy = correct.sum(axis=1) / total
            recall, precision = correct / true, correct / positive
            balanced = np.where(true > 0, recall, 0).sum(axis=1) / (true > 0).sum(axis=1)
            chance = (true * positive).sum(axis=1) / total**2
            kappa = np.where(chance < 1, (accuracy - chance) / (1 - chance), np.nan)
        return {
            "class_accuracy": accuracy,
            "balanced_accuracy": balanced,
            "macro_auc": areas.mean(axis=1),
            "pairwise_auc": np.mean([pair_areas[key] for key in averaged_pairs], axis=0),
            "kappa": kappa,
            **{f"recall/{name}": recall[:, c] for c, name in enumerate(classes)},
            **{f"precision/{name}": precision[:, c] for c, name in enumerate(classes)},
            **{f"auc/{name}": areas[:, c] for c, name in enumerate(classes)},
            **{pair_name(classes, *key): values for key, values in pair_areas.items()},
        }

    return statistics, {
        "class_accuracy": np.ones(len(y), bool),
        **{f"recall/{name}": y == c for c, name in enumerate(classes)},
        **{f"precision/{name}": predicted_label == c for c, name in enumerate(classes)},
    }


def class_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    pair: tuple[int, ...] = (),
    predicted: np.ndarray | None = None,
) -> dict[str, float]:
    """Computes the metrics of `class_statistics`; all NaN without images."""
    statistics, _ = class_statistics(labels, probabilities, classes, pair, predicted)
    values = statistics(np.ones((1, len(labels))))
    return {name: float(value[0]) for name, value in values.items()}
