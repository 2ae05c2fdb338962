"""Synthetic boxes of a detector of known skill."""

from typing import Any

import numpy as np

from core.metrics.boxes.iou import resize_boxes
from core.predictions.predictions import SplitPredictions
from schema.labels import LOCATE

Rows = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def synthetic_boxes(
    n: int,
    seed: int = 0,
    *,
    blur: float = 0.02,
    alarms: int = 3,
    model_seed: int = 0,
    size: float = 1.0,
) -> Rows:
    """Truth, boxes and scores of n images, every other one with an opacity.

    The same `seed` gives the same truth, another `model_seed` another model; `blur` is the standard
    deviation of its box centers.
    """
    rng = np.random.default_rng(seed)
    own = np.random.default_rng([seed, model_seed])
    truth, boxes, scores = [], [], []
    for i in range(n):
        corner = rng.uniform(0.05, 0.6, (rng.integers(1, 3) if i % 2 else 0, 2))
        sides = rng.uniform(0.15, 0.35, corner.shape)
        true = np.concatenate([corner, corner + sides], axis=1)
        shift = np.tile(own.normal(0, blur, corner.shape), 2)
        found = resize_boxes(true + shift, size * own.uniform(0.9, 1.1))
        at = own.uniform(0, 0.7, (own.integers(0, alarms + 1), 2))
        truth.append(true)
        boxes.append(np.concatenate([found, np.concatenate([at, at + 0.2], axis=1)]))
        scores.append(np.concatenate([own.beta(5, 2, len(found)), own.beta(2, 4, len(at))]))
    return truth, boxes, scores


def synthetic_box_predictions(
    n: int, seed: int = 0, *, threshold: float = 0.45, model_seed: int = 0, **how: Any
) -> SplitPredictions:
    """Predictions of a detector; images 2i and 2i + 1 are of one patient."""
    truth, boxes, scores = synthetic_boxes(n, seed, model_seed=model_seed, **how)
    own = np.random.default_rng([seed, model_seed, 1])
    positive = np.array([int(len(rows) > 0) for rows in truth], np.int64)
    score = own.beta(np.where(positive, 5, 2), np.where(positive, 2, 5))
    both = np.stack([1 - score, score], axis=1)
    order = [np.argsort(-row, kind="stable") for row in scores]
    return SplitPredictions(
        task=LOCATE,
        threshold=0.5,
        band=None,
        temperature=1.0,
        sha256=np.array([f"id{i}" for i in range(n)], str),
        filename=np.array([f"test/image{i:04d}.png" for i in range(n)], str),
        patient=np.array([f"patient{i // 2}" for i in range(n)], str),
        pathogen=np.where(positive, "unknown", np.where(np.arange(n) % 4, "normal", "other")),
        source=np.full(n, "made"),
        height=np.full(n, 96),
        width=np.full(n, 128),
        brightness=own.uniform(80, 160, n),
        label=positive,
        positive=positive,
        score=score,
        probabilities=both,
        raw=both,
        members=both[:, None, :],
        truth_boxes=object_array(truth),
        boxes=object_array([rows[o] for rows, o in zip(boxes, order, strict=True)]),
        box_scores=object_array([rows[o] for rows, o in zip(scores, order, strict=True)]),
        box_threshold=threshold,
    )


def object_array(rows: list[np.ndarray]) -> np.ndarray:
    """Puts arrays of any length into one object array [n]."""
    out = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        out[i] = row
    return out


A, B, FAR, FAR2 = (0, 0, 10, 10), (20, 20, 30, 30), (50, 50, 60, 60), (70, 70, 80, 80)


def box_rows(images):
    return tuple(
        [np.array(image[i], float).reshape(shape) for image in images]
        for i, shape in enumerate([(-1, 4), (-1, 4), (-1,)])
    )
