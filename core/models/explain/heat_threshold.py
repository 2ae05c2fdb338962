"""From which part of its greatest heat on a place is hot: chosen on validation."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.metrics.boxes.challenge import challenge_score
from core.models.explain.weak_boxes import PART, weak_boxes

if TYPE_CHECKING:
    import tensorflow as tf

    from core.models.explain.explanation import Explanation

PARTS: Final = tuple(round(0.2 + 0.05 * i, 2) for i in range(13))  # .2 to .8
FEWEST: Final = 10  # images; nothing is taken from fewer
_BATCH: Final = 16


@dataclass(frozen=True)
class HeatThreshold:
    """What validation settled.

    Attributes:
      part: of the image's hottest place, see `weak_boxes`.
      images: that it was chosen on: they have true boxes and are called positive.
      score: the challenge's metric on them with this part; None where there were too few.
      note: why nothing was chosen; empty where it was.
    """

    part: float = PART
    images: int = 0
    score: float | None = None
    note: str = "no image of validation has boxes; the part is the default"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def select_heat_threshold(
    explain: "Callable[[tf.Tensor], Explanation]", pixels: np.ndarray, truth: list[np.ndarray]
) -> HeatThreshold:
    """Tries every part of `PARTS` by the challenge's metric.

    Images that are not called positive have no boxes whatever the part, so only the others count.

    Args:
      explain: of `core.models.explain.explain_fn.build_explain_fn`.
      pixels: uint8 [n, s, s, 1], of images with true boxes.
      truth: for each image the true boxes [k, 4], in the model's square.
    """
    import tensorflow as tf

    heats, called = [], []
    ask = tf.function(explain, autograph=False, reduce_retracing=True)
    for start in range(0, len(pixels), _BATCH):
        found = ask(tf.constant(np.asarray(pixels[start : start + _BATCH]), tf.float32))
        heats.append(found.heat.numpy())
        called.append(found.box_scores.numpy()[:, 0] >= 0)
    chosen = np.flatnonzero(np.concatenate(called)) if called else np.zeros(0, np.int64)
    if len(chosen) < FEWEST:
        told = f"{len(chosen)} images of validation with boxes are called positive, too few to "
        return HeatThreshold(images=len(chosen), note=f"{told}choose on; the part is the default")
    heat, true = np.concatenate(heats)[chosen], [truth[i] for i in chosen]
    scores = [_score(heat, true, part) for part in PARTS]
    if not max(scores):
        told = f"no part finds an opacity in {len(chosen)} images of validation"
        return HeatThreshold(images=len(chosen), score=0.0, note=f"{told}; the part is the default")
    # Of equal ones the nearest to the default.
    best = max(range(len(PARTS)), key=lambda i: (scores[i], -abs(PARTS[i] - PART)))
    return HeatThreshold(PARTS[best], len(chosen), scores[best], "")


def _score(heat: np.ndarray, truth: list[np.ndarray], part: float) -> float:
    import tensorflow as tf

    boxes, scores = (of.numpy() for of in weak_boxes(tf.constant(heat), part))
    there = scores >= 0
    found = challenge_score(
        truth,
        [of[has] for of, has in zip(boxes, there, strict=True)],
        [of[has] for of, has in zip(scores, there, strict=True)],
    )
    assert found is not None  # every image has a true box
    return found
