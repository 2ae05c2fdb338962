"""Trains dense heads on stored activations, and runs them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.models.backbones import freeze_batch_norm
from core.models.detector.decode import average_members, decode_boxes
from core.models.detector.head import as_list, build_dense_head, grid_size
from core.models.detector.losses import DetectorLoss
from core.models.detector.network import DetectorMember
from core.models.detector.targets import CHANNELS, center_targets, pad_boxes
from core.models.options import DetectorOptions
from core.progress import ProgressReporter
from core.training.detector.levels import FlattenedLevels, split_levels
from core.training.loop.batches import Batch, LabeledRows, TrainingData, data_from_generators
from core.training.loop.curves import Objective, OutputPaths, TrainingCurves
from core.training.loop.fit import train

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

PART = 0.1  # of the head's learning rate, for blocks of the backbone


@dataclass(frozen=True)
class AnnotatedImages:
    """Images with their boxes, as the dense head learns from them.

    Attributes:
      views: view -> `FlattenedLevels`; maps at the first level if the backbone is trained.
      boxes: view -> object [n], each float32 [k, 4] in "model" coordinates.
    """

    views: tuple[Any, ...]
    boxes: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.views[0])

    def rows(self) -> LabeledRows:
        """Every image; targets come from boxes and not from here."""
        n = len(self)
        return LabeledRows(
            self.views, np.zeros((n, 0), np.float32), np.ones(n, np.float32), np.arange(n)
        )


def detector_training_data(
    learn: AnnotatedImages,
    judge: AnnotatedImages,
    grid: tuple[int, int],
    options: DetectorOptions,
    seed: int,
) -> TrainingData:
    """Batches of stored activations; targets are made of the boxes of the view that is drawn."""
    import tensorflow as tf

    rows, size = learn.rows(), options.batch_size

    def targets(boxes: list[np.ndarray]) -> np.ndarray:
        return center_targets(pad_boxes(boxes), grid, options.min_overlap)

    def epoch(number: int) -> Iterator[Batch]:
        order, view = rows.draw(seed, number)
        for start in range(0, len(order), size):
            chosen, seen = order[start : start + size], view[start : start + size]
            boxes = [learn.boxes[v][i] for i, v in zip(chosen, seen, strict=True)]
            yield rows.gather(chosen, seen), targets(boxes), rows.weights[chosen]

    def validation() -> Iterator[Batch]:
        for start in range(0, len(judge), size):
            part = slice(start, start + size)
            x = judge.views[0][part]
            yield np.asarray(x), targets(list(judge.boxes[0][part])), np.ones(len(x), np.float32)

    first = learn.views[0]
    signature = (
        tf.TensorSpec([None, *first.shape[1:]], first.dtype),
        tf.TensorSpec([None, *grid, CHANNELS], tf.float32),
        tf.TensorSpec([None], tf.float32),
    )
    return data_from_generators(
        epoch, len(rows), size, validation, -(-len(judge) // size), signature
    )


def fit_detector(
    learn: AnnotatedImages,
    judge: AnnotatedImages,
    shapes: "list[tuple[int, int, int]]",
    scaling: list[tuple[np.ndarray, np.ndarray]],
    options: DetectorOptions,
    seed: int,
    outputs: OutputPaths | None = None,
    above: "Callable[[], keras.Model] | None" = None,
) -> tuple[DetectorMember, TrainingCurves]:
    """Trains one dense head.

    Args:
      learn: training images with their views.
      judge: validation images.
      shapes: of the levels, (h, w, channels).
      scaling: mean and deviation of each level's channels.
      options: of the detector.
      seed: of weights, dropout, order and views; the same gives the same.
      outputs: for checkpoints and logs; None writes nothing.
      above: builds the backbone above the first level, which then learns too; the views are maps at
        the first level.

    Returns:
      The detector at its best epoch by validation loss, and its curves.
    """
    import keras

    from core.training.loop.optimizer import OptimizerOptions

    keras.utils.set_random_seed(seed)
    head = build_dense_head(shapes, scaling, options, seed)
    backbone = above() if above is not None else None
    factor = None
    given = keras.Input(learn.views[0].shape[1:], name="stored")
    if backbone is None:
        levels = split_levels(given, shapes)
    else:
        backbone.trainable = True
        freeze_batch_norm(backbone)
        levels = [given, *as_list(backbone(given))]
        slow = {id(variable) for variable in backbone.trainable_variables}
        factor = lambda variable: PART if id(variable) in slow else 1.0  # noqa: E731
    model = keras.Model(given, head(levels), name="detector")
    grid = grid_size(shapes, options)
    boxes = sum(len(of) for of in learn.boxes[0])
    loss = DetectorLoss(
        max(boxes / max(len(learn), 1), 1e-3), options.size_weight, options.offset_weight
    )

    def part(name: str) -> "Callable[[tf.Tensor, tf.Tensor], tf.Tensor]":
        return lambda targets, outputs: loss.parts(targets, outputs)[name]

    curves = train(
        model,
        detector_training_data(learn, judge, grid, options, seed),
        # Keras wants the name that a function has.
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
    batch: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of stored images.

    Returns:
      boxes float32 [n, MAX_BOXES, 4] in "model" coordinates and their heat [n, MAX_BOXES], as
      `decode_boxes` gives them.
    """
    import tensorflow as tf

    models = [of.asked for of in detectors]
    run = tf.function(
        lambda x: decode_boxes(
            *average_members([model(x, training=False) for model in models]), nms_iou
        ),
        input_signature=[tf.TensorSpec([None, *view.shape[1:]], tf.float32)],
        autograph=False,
    )
    boxes: list[np.ndarray] = []
    heat: list[np.ndarray] = []
    step = ProgressReporter()
    for start in range(0, len(view), batch):
        part = np.asarray(view[start : start + batch], np.float32)
        for found, of in zip((boxes, heat), run(part), strict=True):
            found.append(of.numpy())
        step("locate validation", min(start + batch, len(view)), len(view))
    return np.concatenate(boxes), np.concatenate(heat)
