"""Split conformal prediction sets (Vovk et al., 2005; Angelopoulos & Bates, 2023).

A set contains the true class of a new image with probability at least 1 - alpha if calibration
images and new images are exchangeable. Images of one patient are not independent, and other data
are not exchangeable with validation: coverage must therefore be measured, with intervals by
patient, also on shifted data.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.metrics.bootstrap import Statistics


def nonconformity(probabilities: np.ndarray) -> np.ndarray:
    """Computes how poorly each class fits an image: 1 - p.

    This score gives the smallest sets on average (Sadinle et al., 2019, J. Am. Stat. Assoc. 114). A
    set may be empty.

    Args:
      probabilities: float [n, C], rows sum to 1.

    Returns:
      float64 [n, C] in 0..1; lower fits better.

    Raises:
      ValueError: a probability is not finite, or the array is not 2-D.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or not np.isfinite(p).all():
        raise ValueError(f"probabilities {p.shape} must be finite and of shape (images, classes)")
    return 1 - p


def conformal_quantile(scores: np.ndarray, alpha: float) -> float:
    """Returns the ceil((n + 1)(1 - alpha))-th smallest score; infinity if n is too small."""
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


@dataclass(frozen=True)
class ConformalPredictor:
    """Prediction sets with a target coverage of 1 - alpha.

    Attributes:
      quantiles: largest nonconformity of each class in a set; infinity: the class is always in it.
    """

    quantiles: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        labels: np.ndarray,
        probabilities: np.ndarray,
        alpha: float,
        *,
        by_class: bool = False,
    ) -> Self:
        """Fits the quantiles on calibration images.

        Args:
          labels: int [n], class of each image.
          probabilities: float [n, C].
          alpha: largest probability of a set without the true class, above 0 and below 1.
          by_class: one quantile per class, so that coverage holds within each class (Mondrian
            conformal prediction, Vovk et al., 2003); otherwise one for all.

        Raises:
          ValueError: alpha, a label or a probability is invalid, or lengths differ.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be above 0 and below 1, not {alpha}")
        y, scores = np.asarray(labels), nonconformity(probabilities)
        classes = scores.shape[1]
        if y.shape != scores.shape[:1] or not np.isin(y, range(classes)).all():
            raise ValueError(f"labels {y.shape} must be a class 0..{classes - 1} of each image")
        own = scores[np.arange(len(y)), y]
        parts = [own[y == c] if by_class else own for c in range(classes)]
        return cls(tuple(conformal_quantile(part, alpha) for part in parts))

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns which classes are in the set of each image, bool [n, C]."""
        return nonconformity(probabilities) <= np.array(self.quantiles)


def cross_fitted_sets(
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    alpha: float,
    *,
    by_class: bool = False,
    folds: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """Computes the set of each image with quantiles from images of other patients.

    Args:
      labels: int [n].
      probabilities: float [n, C].
      groups: [n], patient of each image; a fold has whole patients.
      alpha: see `ConformalPredictor.fit`.
      by_class: see `ConformalPredictor.fit`.
      folds: number of folds; at most the number of patients is used.
      seed: seed of the assignment of patients to folds.

    Returns:
      bool [n, C].
    """
    y, p = np.asarray(labels), np.asarray(probabilities, np.float64)
    patients, patient = np.unique(np.asarray(groups), return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(patients))[patient] % folds
    sets = np.zeros(p.shape, bool)
    for i in np.unique(fold):
        rest, held = fold != i, fold == i
        fitted = ConformalPredictor.fit(y[rest], p[rest], alpha, by_class=by_class)
        sets[held] = fitted.sets(p[held])
    return sets


def set_statistics(
    labels: np.ndarray, sets: np.ndarray, names: Sequence[str]
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Returns coverage and size of prediction sets as a function of weights, for the bootstrap.

    - coverage: share of sets with the true class; `coverage/NAME` within a class.
    - size: mean number of classes in a set.
    - single: share of sets with exactly one class; empty: share of sets without any.

    Args:
      labels: int [n], class of each image.
      sets: bool [n, C].
      names: names of the classes, C.

    Returns:
      The metrics of weights [r, n], and the images in the denominator of each proportion, bool [n].
    """
    y, size = np.asarray(labels), np.asarray(sets).sum(axis=1)
    covered = np.asarray(sets)[np.arange(len(y)), y]
    everything = np.ones(len(y), bool)
    parts = {"coverage": everything} | {f"coverage/{name}": y == c for c, name in enumerate(names)}
    columns = {name: (covered, part) for name, part in parts.items()} | {
        "single": (size == 1, everything),
        "empty": (size == 0, everything),
        "size": (size, everything),
    }

    def statistics(w: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                name: np.asarray((w @ (values * part)) / (w @ part))
                for name, (values, part) in columns.items()
            }

    return statistics, parts | {"single": everything, "empty": everything}
