"""Trains dense heads on stored activations and predicts boxes with them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.models.backbones import freeze_batch_norm, unpack
from core.models.detector.decode import average_members, decode_boxes
from core.models.detector.head import as_list, build_dense_head, grid_size
from core.models.detector.losses import DetectorLoss
from core.models.detector.network import DetectorMember
from core.models.detector.targets import CHANNELS, center_targets, pad_boxes
from core.models.options import DetectorOptions
from core.progress import ProgressReporter
from core.training.detector.levels import FlattenedLevels
from core.training.loop.batches import Batch, LabeledRows, TrainingData, data_from_generators
from core.training.loop.curves import Objective, OutputPaths, TrainingCurves
from core.training.loop.fit import fit_model

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

BACKBONE_LEARNING_RATE_FACTOR = 0.1  # relative to the learning rate of the head


@dataclass(frozen=True)
class AnnotatedImages:
    """Stored activations of images with their boxes.

    Attributes:
      views: view -> `FlattenedLevels`; maps at the first level if the backbone is trained.
      boxes: view -> object [n], each float32 [k, 4] in "model" coordinates.
    """

    views: tuple[Any, ...]
    boxes: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.views[0])

    def rows(self) -> LabeledRows:
        """Returns all images without class targets; targets are computed from the boxes."""
        n = len(self)
        return LabeledRows(
            self.views, np.zeros((n, 0), np.float32), np.ones(n, np.float32), np.arange(n)
        )


def detector_training_data(
    train: AnnotatedImages,
    val: AnnotatedImages,
    grid: tuple[int, int],
    options: DetectorOptions,
    seed: int,
) -> TrainingData:
    """Returns batches of stored activations with targets computed from the boxes of each view."""
    import tensorflow as tf

    rows, size = train.rows(), options.batch_size

    def targets(boxes: list[np.ndarray]) -> np.ndarray:
        return center_targets(pad_boxes(boxes), grid, options.min_overlap)

    def epoch(number: int) -> Iterator[Batch]:
        order, view = rows.draw(seed, number)
        for start in range(0, len(order), size):
            index, views = order[start : start + size], view[start : start + size]
            boxes = [train.boxes[v][i] for i, v in zip(index, views, strict=True)]
            yield rows.gather(index, views), targets(boxes), rows.weights[index]

    def validation() -> Iterator[Batch]:
        for start in range(0, len(val), size):
            batch = slice(start, start + size)
            x = val.views[0][batch]
            yield np.asarray(x), targets(list(val.boxes[0][batch])), np.ones(len(x), np.float32)

    first = train.views[0]
    signature = (
        tf.TensorSpec([None, *first.shape[1:]], first.dtype),
        tf.TensorSpec([None, *grid, CHANNELS], tf.float32),
        tf.TensorSpec([None], tf.float32),
    )
    return data_from_generators(epoch, len(rows), size, validation, -(-len(val) // size), signature)


def fit_detector(
    train: AnnotatedImages,
    val: AnnotatedImages,
    shapes: "list[tuple[int, int, int]]",
    scaling: list[tuple[np.ndarray, np.ndarray]],
    options: DetectorOptions,
    seed: int,
    outputs: OutputPaths | None = None,
    above: "Callable[[], keras.Model] | None" = None,
) -> tuple[DetectorMember, TrainingCurves]:
    """Trains one dense head.

    Args:
      train: training images with their views.
      val: validation images.
      shapes: (h, w, channels) of each level.
      scaling: mean and standard deviation of the channels of each level.
      options: of the detector.
      seed: of weights, dropout, order and views.
      outputs: checkpoint and log folders; None writes nothing.
      above: builds the backbone above the first level, which is then trained too; the views are
        maps at the first level. None: the backbone is frozen.

    Returns:
      The detector at its best epoch by validation loss, and its curves.
    """
    import keras

    from core.training.loop.optimizer import OptimizerOptions

    keras.utils.set_random_seed(seed)
    head = build_dense_head(shapes, scaling, options, seed)
    backbone = above() if above is not None else None
    factor = None
    stored = keras.Input(train.views[0].shape[1:], name="stored")
    if backbone is None:
        levels = unpack(stored, shapes)
    else:
        backbone.trainable = True
        freeze_batch_norm(backbone)
        levels = [stored, *as_list(backbone(stored))]
        backbone_variables = {id(variable) for variable in backbone.trainable_variables}
        factor = (  # noqa: E731
            lambda variable: (
                BACKBONE_LEARNING_RATE_FACTOR if id(variable) in backbone_variables else 1.0
            )
        )
    model = keras.Model(stored, head(levels), name="detector")
    grid = grid_size(shapes, options)
    boxes = sum(len(image_boxes) for image_boxes in train.boxes[0])
    loss = DetectorLoss(
        max(boxes / max(len(train), 1), 1e-3), options.size_weight, options.offset_weight
    )

    def part(name: str) -> "Callable[[tf.Tensor, tf.Tensor], tf.Tensor]":
        return lambda targets, outputs: loss.parts(targets, outputs)[name]

    curves = fit_model(
        model,
        detector_training_data(train, val, grid, options, seed),
        # A bound method, because Keras reads the name of the function.
        Objective(loss.__call__, loss.__call__, {n: part(n) for n in ("heat_loss", "size_loss")}),
        OptimizerOptions(
            options.learning_rate, options.weight_decay, options.schedule, options.warmup
        ),
        epochs=options.epochs,
        patience=options.patience,
        phase="detector",
        seed=seed,
        outputs=outputs,
        factor=factor,
    )
    if backbone is not None:
        backbone.trainable = False
    return DetectorMember(head, backbone, model), curves


def predict_boxes(
    detectors: Sequence[DetectorMember],
    view: "FlattenedLevels | np.ndarray",
    nms_iou: float,
    batch_size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts the boxes of images from stored activations.

    Returns:
      Boxes float32 [n, MAX_BOXES, 4] in "model" coordinates and their heat [n, MAX_BOXES], see
      `decode_boxes`.
    """
    import tensorflow as tf

    models = [detector.training_model for detector in detectors]
    run = tf.function(
        lambda x: decode_boxes(
            *average_members([model(x, training=False) for model in models]), nms_iou
        ),
        input_signature=[tf.TensorSpec([None, *view.shape[1:]], tf.float32)],
        autograph=False,
    )
    boxes: list[np.ndarray] = []
    heat: list[np.ndarray] = []
    progress = ProgressReporter()
    for start in range(0, len(view), batch_size):
        batch = np.asarray(view[start : start + batch_size], np.float32)
        batch_boxes, batch_heat = run(batch)
        boxes.append(batch_boxes.numpy())
        heat.append(batch_heat.numpy())
        progress("locate validation", min(start + batch_size, len(view)), len(view))
    return np.concatenate(boxes), np.concatenate(heat)
