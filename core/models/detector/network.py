"""Exported network of a detection task: one backbone, classification heads and dense heads."""

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
    """Dense head trained with one seed.

    Attributes:
      head: list of activations at the levels -> float32 [n, rows, columns, 5].
      above: activation at the first level -> list of activations at the other levels, if the
        backbone was trained; None: the backbone is frozen.
      training_model: a row of `AnnotatedImages.views` -> output of `head`.
    """

    head: "keras.Model"
    above: "keras.Model | None"
    training_model: "keras.Model"

    def __call__(self, levels: "list[tf.Tensor]") -> "tf.Tensor":
        """Predicts float32 [n, rows, columns, 5] from the activations of the frozen backbone."""
        if self.above is not None:
            levels = [levels[0], *as_list(self.above(levels[0], training=False))]
        return self.head(levels, training=False)


@dataclass(frozen=True)
class DetectorNetwork:
    """A backbone with several output levels, classification heads and dense heads.

    Attributes:
      pyramid: gray pixels float32 [n, size, size, 1] in 0..255 -> activations at the levels, and
        last the backbone's output.
      levels: number of levels that the dense heads read.
      network: the classification heads; its backbone is not used.
      detectors: one for each seed.
      fusion: combines the scores of the classification heads and of the strongest box.
    """

    pyramid: "keras.Model"
    levels: int
    network: ClassifierNetwork
    detectors: tuple[DetectorMember, ...]
    fusion: ScoreFusion = HEAD_ONLY

    @property
    def size(self) -> int:
        """Image side, pixels."""
        return int(self.pyramid.input_shape[1])

    @property
    def variables(self) -> "list[keras.Variable]":
        """All variables, without duplicates."""
        models = [self.pyramid, *(member.head for member in self.network.members)]
        for detector in self.detectors:
            models += [detector.head, *([detector.above] if detector.above is not None else [])]
        unique = {id(variable): variable for model in models for variable in model.variables}
        return list(unique.values())

    def count_params(self) -> int:
        """Returns the number of parameters of the backbone and all heads."""
        return sum(int(variable.value.shape.num_elements()) for variable in self.variables)

    def __call__(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Predicts image logits, float32 [n, members, classes], from float32 [n, size, size, 1]."""
        return self.predict(self.pyramid(pixels, training=False))[0]

    def features(self, pixels: "tf.Tensor") -> "tf.Tensor":
        """Returns the pooled features, float32 [n, d], of float32 [n, size, size, 1]."""
        return pool(self.pyramid(pixels, training=False)[-1], self.network.pooling)

    def folded(self) -> "DetectorNetwork":
        """Returns the network with batch normalization folded into the convolutions."""
        from core.models.fold_batch_norm import fold_batch_norm

        detectors = [
            replace(member, above=None if member.above is None else fold_batch_norm(member.above))
            for member in self.detectors
        ]
        return replace(self, pyramid=fold_batch_norm(self.pyramid), detectors=tuple(detectors))

    def predict_dense(self, activations: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns heat and geometry of the ensemble, see `average_members`.

        Args:
          activations: output of `pyramid`.
        """
        levels = activations[: self.levels]
        return average_members([detector(list(levels)) for detector in self.detectors])

    def predict(self, activations: "list[tf.Tensor]") -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor]":
        """Returns image logits, heat and geometry, see `average_members`.

        Args:
          activations: output of `pyramid`.
        """
        import tensorflow as tf

        logits = self.network.logits_of([activations[-1]] * len(self.network.members))
        heat, geometry = self.predict_dense(activations)
        strongest = tf.reduce_max(heat, axis=[1, 2])
        return self.fusion.fuse_tensor(logits, strongest), heat, geometry


def build_detector_explain_fn(
    network: DetectorNetwork,
    task: "Task",
    decision: "DecisionRule",
    operating_point: "BoxOperatingPoint",
    nms_iou: float,
) -> "Callable[[tf.Tensor], Explanation]":
    """Returns the `explain` function of a detection task for `serving.export.saved_model.export`.

    Args:
      network: the detector.
      task: the detection task.
      decision: temperature of the image score.
      operating_point: of the boxes.
      nms_iou: see `decode_boxes`.

    Returns:
      float32 [n, size, size, 1] in 0..255 -> heat of box centers, boxes with their combined scores
      (not thresholded: the client applies the threshold) and logits.
    """

    def explain(pixels: "tf.Tensor") -> Explanation:
        import tensorflow as tf

        from core.models.decision_rule import calibrate_probabilities

        logits, heat, geometry = network.predict(network.pyramid(pixels, training=False))
        _, score = calibrate_probabilities(tf.nn.softmax(logits), task, decision)
        boxes, peaks = decode_boxes(heat, geometry, nms_iou)
        return Explanation(
            heat,
            *apply_operating_point(
                boxes, peaks, score, operating_point.combine, operating_point.shrink
            ),
            logits,
        )

    return explain
