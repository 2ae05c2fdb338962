"""The exported network of a located task: one backbone, image heads, dense heads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.models.classifier import ClassifierNetwork
from core.models.detector.decode import apply_operating_point, average_members, decode_boxes
from core.models.detector.head import as_list
from core.models.detector.score_fusion import HEAD_ONLY, ScoreFusion
from core.models.explain.explanation import Explanation
from core.models.head import pool

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from core.metrics.boxes.operating_point import BoxOperatingPoint
    from core.models.decision_rule import DecisionRule
    from schema.labels import Task


@dataclass(frozen=True)
class DetectorMember:
    """The dense head that one seed trained.

    Attributes:
      head: list of activations at the levels -> float32 [n, rows, columns, 5].
      above: activation at the first level -> list of those at the other levels, if the backbone was
        trained; None: the backbone stayed frozen.
      asked: a row of `AnnotatedImages.views` -> what `head` gives.
    """

    head: "keras.Model"
    above: "keras.Model | None"
    asked: "keras.Model"

    def __call__(self, levels: "list[tf.Tensor]") -> "tf.Tensor":
        """Activations of the frozen backbone at all levels -> float32 [n, rows, columns, 5]."""
        if self.above is not None:
            levels = [levels[0], *as_list(self.above(levels[0], training=False))]
        return self.head(levels, training=False)


@dataclass(frozen=True)
class DetectorNetwork:
    """A backbone that shows its levels, and what stands on it.

    Attributes:
      pyramid: gray pixels float32 [n, size, size, 1] in 0..255 -> activations at the levels, and
        last the backbone's output.
      levels: how many of them the dense heads read.
      network: the heads for the image; of its backbone, which is the same, nothing is used.
      detectors: one for each seed.
      evidence: joins what the heads and the strongest box say of the image.
    """

    pyramid: "keras.Model"
    levels: int
    network: ClassifierNetwork
    detectors: tuple[DetectorMember, ...]
    evidence: ScoreFusion = HEAD_ONLY

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
        """Numbers in the backbone and in all heads."""
        return sum(int(variable.value.shape.num_elements()) for variable in self.variables)

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """float32 [n, size, size, 1] -> logits of the image, float32 [n, members, classes]."""
        return self.told(self.pyramid(pixels, training=False))[0]

    def features(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """float32 [n, size, size, 1] -> what the heads for the image see, float32 [n, d]."""
        return pool(self.pyramid(pixels, training=False)[-1], self.network.pooling)

    def folded(self) -> "DetectorNetwork":
        """The same with batch norm folded into convolutions; see `core.models.fold_batch_norm`."""
        from core.models.fold_batch_norm import fold_batch_norm

        detectors = [
            replace(of, above=None if of.above is None else fold_batch_norm(of.above))
            for of in self.detectors
        ]
        return replace(self, pyramid=fold_batch_norm(self.pyramid), detectors=tuple(detectors))

    def dense(self, activations: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor]":
        """What `pyramid` gives -> heat and geometry of the ensemble, see `average_members`."""
        return average_members([of(list(activations[: self.levels])) for of in self.detectors])

    def told(self, activations: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor]":
        """Outputs of `pyramid` -> image logits, heat and geometry (see `average_members`)."""
        import tensorflow as tf

        logits = self.network.logits_of([activations[-1]] * len(self.network.members))
        heat, geometry = self.dense(activations)
        strongest = tf.reduce_max(heat, axis=[1, 2])
        return self.evidence.fuse_tensor(logits, strongest), heat, geometry


def build_detector_explain_fn(
    locator: DetectorNetwork,
    of: "Task",
    decision: "DecisionRule",
    choice: "BoxOperatingPoint",
    nms_iou: float,
) -> "Callable[[tf.Tensor], Explanation]":
    """What `serving.export.saved_model.export` takes as `explain` for a located task.

    Args:
      locator: the network.
      of: the task.
      decision: what validation fixed for the image.
      choice: what validation fixed for boxes.
      nms_iou: see `decode_boxes`.

    Returns:
      float32 [n, size, size, 1] in 0..255 -> heat of centres, boxes with their combined scores (all
      of them: the threshold is the client's door's), logits.
    """

    def explain(pixels: "tf.Tensor") -> Explanation:
        import tensorflow as tf

        from core.models.decision_rule import calibrate_probabilities

        logits, heat, geometry = locator.told(locator.pyramid(pixels, training=False))
        _, score = calibrate_probabilities(tf.nn.softmax(logits), of, decision)
        boxes, peaks = decode_boxes(heat, geometry, nms_iou)
        return Explanation(
            heat, *apply_operating_point(boxes, peaks, score, choice.combine, choice.shrink), logits
        )

    return explain
