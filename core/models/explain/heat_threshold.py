"""Chooses the heat threshold of weak boxes on validation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.metrics.boxes.challenge import challenge_score
from core.models.explain.weak_boxes import DEFAULT_FRACTION, weak_boxes

if TYPE_CHECKING:
    import tensorflow as tf

    from core.models.explain.explanation import Explanation

FRACTIONS: Final = tuple(round(0.2 + 0.05 * i, 2) for i in range(13))  # 0.2 to 0.8
MIN_IMAGES: Final = 10
_BATCH: Final = 16


@dataclass(frozen=True)
class HeatThreshold:
    """Threshold chosen on validation.

    Attributes:
      fraction: threshold relative to the maximum heat of the image, see `weak_boxes`.
      images: number of images that it was chosen on: predicted positive, with true boxes.
      score: metric of the RSNA challenge on these images; None if there were too few.
      note: why the default is used; empty if a threshold was chosen.
    """

    fraction: float = DEFAULT_FRACTION
    images: int = 0
    score: float | None = None
    note: str = "no validation image has boxes; the default threshold is used"

    def to_dict(self) -> dict[str, Any]:
        """Returns the attributes for JSON."""
        return {
            "part": self.fraction,
            "images": self.images,
            "score": self.score,
            "note": self.note,
        }


def select_heat_threshold(
    explain: "Callable[[tf.Tensor], Explanation]", pixels: np.ndarray, true_boxes: list[np.ndarray]
) -> HeatThreshold:
    """Selects the threshold among `FRACTIONS` with the best score of the RSNA challenge.

    Only images that are predicted positive count; others have no boxes with any threshold.

    Args:
      explain: see `core.models.explain.explain_fn.build_explain_fn`.
      pixels: uint8 [n, s, s, 1], images with true boxes.
      true_boxes: boxes of each image, [k, 4], in "model" coordinates; images without one are
        ignored.
    """
    import tensorflow as tf

    heats, positive = [], []
    run = tf.function(explain, autograph=False, reduce_retracing=True)
    for start in range(0, len(pixels), _BATCH):
        explanation = run(tf.constant(np.asarray(pixels[start : start + _BATCH]), tf.float32))
        heats.append(explanation.heat.numpy())
        positive.append(explanation.box_scores.numpy()[:, 0] >= 0)
    boxed = np.array([len(boxes) > 0 for boxes in true_boxes], bool)
    rows = np.flatnonzero(np.concatenate([*positive, boxed[:0]]) & boxed)
    if len(rows) < MIN_IMAGES:
        return HeatThreshold(
            images=len(rows),
            note=f"{len(rows)} validation images with boxes are predicted positive, fewer than "
            f"{MIN_IMAGES}; the default threshold is used",
        )
    heat, truth = np.concatenate(heats)[rows], [true_boxes[i] for i in rows]
    scores = [_score(heat, truth, fraction) for fraction in FRACTIONS]
    if not max(scores):
        return HeatThreshold(
            images=len(rows),
            score=0.0,
            note=f"no threshold gives a correct box in {len(rows)} validation images; the default "
            "is used",
        )
    # Of equal scores, the threshold nearest to the default.
    best = max(
        range(len(FRACTIONS)), key=lambda i: (scores[i], -abs(FRACTIONS[i] - DEFAULT_FRACTION))
    )
    return HeatThreshold(FRACTIONS[best], len(rows), scores[best], "")


def _score(heat: np.ndarray, truth: list[np.ndarray], fraction: float) -> float:
    import tensorflow as tf

    boxes, scores = (output.numpy() for output in weak_boxes(tf.constant(heat), fraction))
    exists = scores >= 0
    score = challenge_score(
        truth,
        [row[mask] for row, mask in zip(boxes, exists, strict=True)],
        [row[mask] for row, mask in zip(scores, exists, strict=True)],
    )
    assert score is not None  # every image has a true box
    return score
