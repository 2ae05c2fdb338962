"""Views of an image whose predictions are averaged (test-time augmentation)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models.options import ViewOptions

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class View:
    """A square part of the image, enlarged to the size of the image.

    Attributes:
      scale: side of the part, as a fraction of the side of the image, in (0, 1].
      vertical: 0: the upper edge; 0.5: the middle; 1: the lower edge.
      horizontal: likewise from left to right.
      flip: whether the part is mirrored left and right.
    """

    scale: float = 1.0
    vertical: float = 0.5
    horizontal: float = 0.5
    flip: bool = False

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Returns the view of square images, float32 [n, size, size, 1], of the same shape."""
        import tensorflow as tf

        size = int(pixels.shape[1])
        side = max(1, round(self.scale * size))
        top, left = (round(part * (size - side)) for part in (self.vertical, self.horizontal))
        view = pixels[:, top : top + side, left : left + side]
        if side < size:
            view = tf.image.resize(view, [size, size], method="bilinear")
        return view[:, :, ::-1] if self.flip else view


def prediction_views(options: ViewOptions | None) -> tuple[View, ...]:
    """Returns the views of each image; empty if the model predicts from the image alone.

    Scale 0.875 with corners and flip gives the ten crops of Krizhevsky et al. (2012).
    """
    if options is None:
        return ()
    views = []
    for scale in options.scales:
        views.append(View(scale))
        if options.corners and scale < 1:
            views += [
                View(scale, vertical, horizontal) for vertical in (0, 1) for horizontal in (0, 1)
            ]
    if options.flip:
        views += [View(v.scale, v.vertical, v.horizontal, flip=True) for v in views]
    return () if views == [View()] else tuple(views)
