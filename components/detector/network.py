"""The network of a located task as it is exported: one trunk, heads for the image, dense heads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from components.detector.decode import decode, finish, join
from components.detector.evidence import ALONE, Evidence
from components.detector.train import Detector
from components.explain.types import Explained
from components.trainer.head import pool
from components.trainer.network import Network

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from components.evaluation.boxes.choice import Choice
    from schema.labels import Task
    from serving.module import Decision


@dataclass(frozen=True)
class Locator:
    """A trunk that shows its levels, and what stands on it.

    Attributes:
      pyramid: gray pixels float32 [n, size, size, 1] in 0..255 -> activations at the levels, and
        last the trunk's output.
      levels: how many of them the dense heads read.
      network: the heads for the image; of its trunk, which is the same, nothing is used.
      detectors: one for each seed.
      evidence: joins what the heads and the strongest box say of the image.
    """

    pyramid: "keras.Model"
    levels: int
    network: Network
    detectors: tuple[Detector, ...]
    evidence: Evidence = ALONE

    @property
    def size(self) -> int:
        """Side of the images, pixels."""
        return int(self.pyramid.input_shape[1])

    @property
    def variables(self) -> "list[keras.Variable]":
        """Every variable, each once."""
        models = [self.pyramid, *(member.head for member in self.network.members)]
        for detector in self.detectors:
            models += [detector.head, *([detector.above] if detector.above is not None else [])]
        found = {id(variable): variable for model in models for variable in model.variables}
        return list(found.values())

    def count_params(self) -> int:
        """Numbers in the trunk and in all heads."""
        return sum(int(variable.value.shape.num_elements()) for variable in self.variables)

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """float32 [n, size, size, 1] -> logits of the image, float32 [n, members, classes]."""
        return self.told(self.pyramid(pixels, training=False))[0]

    def features(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """float32 [n, size, size, 1] -> what the heads for the image see, float32 [n, d]."""
        return pool(self.pyramid(pixels, training=False)[-1], self.network.pooling)

    def folded(self) -> "Locator":
        """The same with batch norm folded into convolutions; see `serving.optimise`."""
        from serving.optimise import fold_batch_norm

        detectors = [
            replace(of, above=None if of.above is None else fold_batch_norm(of.above))
            for of in self.detectors
        ]
        return replace(self, pyramid=fold_batch_norm(self.pyramid), detectors=tuple(detectors))

    def dense(self, activations: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor]":
        """What `pyramid` gives -> heat and geometry of the ensemble, see `join`."""
        return join([of(list(activations[: self.levels])) for of in self.detectors])

    def told(self, activations: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor]":
        """What `pyramid` gives -> logits of the image, heat and geometry (see `join`)."""
        import tensorflow as tf

        logits = self.network.logits_of([activations[-1]] * len(self.network.members))
        heat, geometry = self.dense(activations)
        strongest = tf.reduce_max(heat, axis=[1, 2])
        return self.evidence.joined_tensor(logits, strongest), heat, geometry


def locate(
    locator: Locator, of: "Task", decision: "Decision", choice: "Choice", nms_iou: float
) -> "Callable[[tf.Tensor], Explained]":
    """What `serving.export.export` takes as `explain` for a located task.

    Args:
      locator: the network.
      of: the task.
      decision: what validation fixed for the image.
      choice: what validation fixed for boxes.
      nms_iou: see `decode`.

    Returns:
      float32 [n, size, size, 1] in 0..255 -> heat of centres, boxes with their combined scores (all
      of them: the threshold is the client's door's), logits.
    """

    def explain(pixels: "tf.Tensor") -> Explained:
        import tensorflow as tf

        from serving.module import calibrated

        logits, heat, geometry = locator.told(locator.pyramid(pixels, training=False))
        _, score = calibrated(tf.nn.softmax(logits), of, decision)
        boxes, peaks = decode(heat, geometry, nms_iou)
        return Explained(heat, *finish(boxes, peaks, score, choice.combine, choice.shrink), logits)

    return explain
