"""Stress test: how much AUC, sensitivity and specificity drop on corrupted images.

After the benchmark of common corruptions (Hendrycks & Dietterich, 2019, ICLR), with paired
intervals: every corruption is measured on the same images as the uncorrupted ones.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from core.images.corruptions import CORRUPTIONS, LEVELS, corrupt
from core.metrics.binary import binary_statistics
from core.metrics.bootstrap import Interval, Statistics, clustered_bootstrap, exact_bounds

FILE: Final = "corruptions.json"
METRICS: Final = ("auc", "sensitivity", "specificity")
# Name and level of each corruption.
CONDITIONS: Final = tuple((name, level) for name in CORRUPTIONS for level in LEVELS)
# A drop of AUC at a moderate level below this bar counts as robust.
BAR: Final = 0.02


@dataclass(frozen=True)
class StressScores:
    """Scores of the same images without and with corruption.

    Attributes:
      labels: int [n] of 0 and 1.
      patients: [n], patient of each image.
      uncorrupted: float [n].
      corrupted: name and level -> float [n].
      threshold: a score at or above it is positive.
    """

    labels: np.ndarray
    patients: np.ndarray
    uncorrupted: np.ndarray
    corrupted: Mapping[tuple[str, str], np.ndarray]
    threshold: float


def draw_patients(
    patients: np.ndarray, labels: np.ndarray, limit: int | None, seed: int
) -> np.ndarray:
    """Selects whole patients at random, with at most so many images.

    Args:
      patients: [n], patient of each image.
      labels: int [n] of 0, 1 and -1; images of -1 are not selected.
      limit: largest number of images; a patient with more than are left is skipped. None: all.
      seed: of the order of the patients.

    Returns:
      bool [n].
    """
    labeled = labels >= 0
    if limit is None:
        return labeled
    names, patient = np.unique(patients, return_inverse=True)
    images = np.bincount(patient[labeled], minlength=len(names))
    drawn, left = np.zeros(len(names), bool), limit
    for i in np.random.default_rng(seed).permutation(len(names)):
        if images[i] <= left:
            drawn[i] = True
            left -= int(images[i])
    return labeled & drawn[patient]


def score_conditions(
    batches: Iterable[tuple[np.ndarray, Iterable[str]]],
    score: Callable[[np.ndarray], np.ndarray],
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[np.ndarray, dict[tuple[str, str], np.ndarray]]:
    """Scores images without corruption and under every condition, a batch at a time.

    Args:
      batches: pixels uint8 [b, h, w] and the ids of the images. The noise of an image depends on
        its id and the seed, not on its place.
      score: pixels uint8 [b, h, w] -> scores float [b].
      seed: of the noise.
      progress: called with the number of scored images; each counts once per condition.

    Returns:
      scores of the uncorrupted images, float64 [n], and for each of CONDITIONS, float64 [n].
    """
    scores: dict[tuple[str, str] | None, list[np.ndarray]] = {
        condition: [] for condition in (None, *CONDITIONS)
    }
    done = 0
    for pixels, ids in batches:
        seeds = [zlib.crc32(f"{seed} {name}".encode()) for name in ids]
        for condition, parts in scores.items():
            images = pixels
            if condition is not None:
                pairs = zip(pixels, seeds, strict=True)
                images = np.stack([corrupt(one, *condition, of_image) for one, of_image in pairs])
            parts.append(np.asarray(score(images), np.float64))
            done += len(pixels)
            progress(done)
    joined = {key: np.concatenate(parts or [np.empty(0)]) for key, parts in scores.items()}
    return joined[None], {condition: joined[condition] for condition in CONDITIONS}


def condition_metrics(
    scores: StressScores, condition: tuple[str, str], resamples: int, seed: int
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Computes the metrics under one condition and their drops, value before minus after.

    Both are from the same resamples of patients. If no decision changes, every resample has a drop
    of 0; exact bounds of a share of 0 then replace the percentiles, on both sides.

    Returns:
      METRICS -> interval of the metric, and of its drop.
    """
    y, after = scores.labels, scores.corrupted[condition]
    before_statistics, _ = binary_statistics(y, scores.uncorrupted, scores.threshold)
    statistics, shares = binary_statistics(y, after, scores.threshold)

    def both(w: np.ndarray) -> dict[str, np.ndarray]:
        before, now = before_statistics(w), statistics(w)
        drops = {f"{name} drop": before[name] - now[name] for name in METRICS}
        return {name: now[name] for name in METRICS} | drops

    found = _bootstrap(both, scores, shares, resamples, seed)
    changed = (scores.uncorrupted >= scores.threshold) != (after >= scores.threshold)
    drops = {name: found[f"{name} drop"] for name in METRICS}
    for name in ("sensitivity", "specificity"):
        counted = shares[name]
        if counted.any() and not changed[counted].any():
            _, reach = exact_bounds(0.0, len(np.unique(scores.patients[counted])))
            drops[name] = replace(drops[name], low=-reach, high=reach, exact=True)
    return {name: found[name] for name in METRICS}, drops


def stress_test_results(scores: StressScores, resamples: int, seed: int) -> dict[str, Any]:
    """Returns the content of `corruptions.json`; values may be NaN.

    Returns:
      `images`, `patients`, `positives`, `threshold`, `bar`; `uncorrupted`, METRICS -> interval;
      `corruptions`, rows of `corruption`, `level`, `value`, `parameter`, `metrics` and `drops`;
      `largest`, for each level the `corruption` with the largest drop of AUC, and the `drop`.

    Raises:
      ValueError: no images.
    """
    statistics, shares = binary_statistics(scores.labels, scores.uncorrupted, scores.threshold)
    uncorrupted = _bootstrap(statistics, scores, shares, resamples, seed)
    rows = list(_rows(scores, resamples, seed))
    return {
        "images": len(scores.labels),
        "patients": len(np.unique(scores.patients)),
        "positives": int(scores.labels.sum()),
        "threshold": scores.threshold,
        "bar": BAR,
        "uncorrupted": {name: asdict(uncorrupted[name]) for name in METRICS},
        "corruptions": rows,
        "largest": {level: _largest(rows, level) for level in LEVELS},
    }


def _bootstrap(
    statistics: Statistics,
    scores: StressScores,
    shares: Mapping[str, np.ndarray],
    resamples: int,
    seed: int,
) -> dict[str, Interval]:
    return clustered_bootstrap(
        statistics, scores.patients, shares=shares, resamples=resamples, seed=seed
    )


def _rows(scores: StressScores, resamples: int, seed: int) -> Iterator[dict[str, Any]]:
    for name, level in scores.corrupted:
        metrics, drops = condition_metrics(scores, (name, level), resamples, seed)
        yield {
            "corruption": name,
            "level": level,
            "value": CORRUPTIONS[name].value(level),
            "parameter": CORRUPTIONS[name].parameter,
            "metrics": {key: asdict(value) for key, value in metrics.items()},
            "drops": {key: asdict(value) for key, value in drops.items()},
        }


def _largest(rows: list[dict[str, Any]], level: str) -> dict[str, Any] | None:
    """Returns the largest drop of AUC at a level; None if no drop is defined."""
    defined = [
        row
        for row in rows
        if row["level"] == level and np.isfinite(row["drops"]["auc"]["estimate"])
    ]
    if not defined:
        return None
    row = max(defined, key=lambda row: float(row["drops"]["auc"]["estimate"]))
    return {"corruption": row["corruption"], "drop": row["drops"]["auc"]}
