"""Made-up boxes of known skill, for tests."""

import numpy as np

from components.evaluation.boxes.iou import resize

Rows = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def made(n: int, seed: int = 0, *, blur: float = 0.02, alarms: int = 3, luck: int = 0) -> Rows:
    """Truth, boxes and scores of n images, every other one with an opacity.

    The same seed gives the same truth; `luck` another model, `blur` how far off its boxes are.
    """
    rng = np.random.default_rng(seed)
    own = np.random.default_rng([seed, luck])
    truth, boxes, scores = [], [], []
    for i in range(n):
        corner = rng.uniform(0.05, 0.6, (rng.integers(1, 3) if i % 2 else 0, 2))
        size = rng.uniform(0.15, 0.35, corner.shape)
        true = np.concatenate([corner, corner + size], axis=1)
        shift = np.tile(own.normal(0, blur, corner.shape), 2)
        found = resize(true + shift, own.uniform(0.9, 1.1))
        at = own.uniform(0, 0.7, (own.integers(0, alarms + 1), 2))
        truth.append(true)
        boxes.append(np.concatenate([found, np.concatenate([at, at + 0.2], axis=1)]))
        scores.append(np.concatenate([own.beta(5, 2, len(found)), own.beta(2, 4, len(at))]))
    return truth, boxes, scores
