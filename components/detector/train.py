"""Trains dense heads on stored activations, and asks them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.detector.decode import decode, join
from components.detector.head import build_dense_head, grid_of
from components.detector.levels import Pack, unpack
from components.detector.losses import Loss
from components.detector.options import DetectorOptions
from components.detector.targets import CHANNELS, centre_targets, padded
from components.progress import Step
from components.trainer.batches import Batch, Rows
from components.trainer.checkpoint import Checkpoint
from components.trainer.fit import Places
from components.trainer.learner import Group, Learner
from components.trainer.logs import Logs
from components.trainer.loop import Curves, Plan, Source, train
from components.trainer.objective import Objective
from components.trainer.trunks import freeze_batch_norm
from schema import storage

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

PART = 0.1  # of the head's learning rate, for blocks of the trunk


@dataclass(frozen=True)
class Marked:
    """Images with their boxes, as the dense head learns from them.

    Attributes:
      views: view -> `Pack` of the levels; or, where the trunk learns, maps at the first level.
      boxes: view -> object [n], each float32 [k, 4] in "model" coordinates.
    """

    views: tuple[Any, ...]
    boxes: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.views[0])

    def rows(self) -> Rows:
        """Every image; targets come from boxes and not from here."""
        n = len(self)
        return Rows(self.views, np.zeros((n, 0), np.float32), np.ones(n, np.float32), np.arange(n))


@dataclass(frozen=True)
class Detector:
    """What one seed learned.

    Attributes:
      head: list of activations at the levels -> float32 [n, rows, columns, 5].
      above: activation at the first level -> list of those at the others, where the trunk learned;
        None: the activations are those of the frozen trunk.
      asked: a row of `Marked.views` -> what `head` gives.
    """

    head: "keras.Model"
    above: "keras.Model | None"
    asked: "keras.Model"

    def __call__(self, levels: "list[tf.Tensor]") -> "tf.Tensor":
        """Activations of the frozen trunk at all levels -> float32 [n, rows, columns, 5]."""
        if self.above is not None:
            levels = [levels[0], *_listed(self.above(levels[0], training=False))]
        return self.head(levels, training=False)


def centre_source(
    learn: Marked, judge: Marked, grid: tuple[int, int], options: DetectorOptions, seed: int
) -> Source:
    """Batches for the loop; targets are made of the boxes of the view that is drawn."""
    import tensorflow as tf

    rows, size = learn.rows(), options.batch_size

    def targets(boxes: list[np.ndarray]) -> np.ndarray:
        return centre_targets(padded(boxes), grid, options.min_overlap)

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
    return Source(epoch, rows.steps(size), validation, tf.TensorSpec(first.shape[1:], first.dtype))


def fit_detector(
    learn: Marked,
    judge: Marked,
    shapes: "list[tuple[int, int, int]]",
    scaling: list[tuple[np.ndarray, np.ndarray]],
    options: DetectorOptions,
    seed: int,
    places: Places | None = None,
    above: "Callable[[], keras.Model] | None" = None,
) -> tuple[Detector, Curves]:
    """Trains one dense head.

    Args:
      learn: training images with their views.
      judge: validation images.
      shapes: of the levels, (h, w, channels).
      scaling: mean and deviation of each level's channels.
      options: of the detector.
      seed: of weights, dropout, order and views; the same gives the same.
      places: for checkpoints and logs; none leaves nothing.
      above: builds the trunk above the first level, which then learns too; the views are maps at
        the first level.

    Returns:
      The detector at its best epoch by validation loss, and its curves.
    """
    import keras

    keras.utils.set_random_seed(seed)
    head = build_dense_head(shapes, scaling, options, seed)
    groups = [Group(head.trainable_variables, options.learning_rate, options.weight_decay)]
    trunk = above() if above is not None else None
    given = keras.Input(learn.views[0].shape[1:], name="stored")
    if trunk is None:
        levels = unpack(given, shapes)
    else:
        trunk.trainable = True
        freeze_batch_norm(trunk)
        levels = [given, *_listed(trunk(given))]
        rate = PART * options.learning_rate
        groups.append(Group(trunk.trainable_variables, rate, options.weight_decay))
    model = keras.Model(given, head(levels), name="detector")
    grid = grid_of(shapes, options)
    boxes = sum(len(of) for of in learn.boxes[0])
    loss = Loss(max(boxes / max(len(learn), 1), 1e-3), options.size_weight, options.offset_weight)

    def part(name: str) -> "Callable[[tf.Tensor, tf.Tensor], tf.Tensor]":
        return lambda targets, outputs: loss.parts(targets, outputs)[name]

    objective = Objective(
        (*grid, CHANNELS), loss, loss, {n: part(n) for n in ("heat_loss", "size_loss")}
    )
    plan = Plan(options.epochs, options.patience, options.schedule, options.warmup)
    state = (
        Checkpoint(storage.join(str(places.checkpoints), f"detector-{seed}.npz"))
        if places
        else None
    )
    source = centre_source(learn, judge, grid, options, seed)
    curves = train(
        Learner.of(model, groups, source, plan, objective=objective), source, plan,
        what=f"detector, seed {seed}", checkpoint=state,
        on_epoch=Logs(places.logs / "detector", head) if places else None,
    )  # fmt: skip
    if trunk is not None:
        trunk.trainable = False
    return Detector(head, trunk, model), curves


def ask(
    detectors: Sequence[Detector], view: "Pack | np.ndarray", nms_iou: float, batch: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of stored images.

    Returns:
      boxes float32 [n, MAX_BOXES, 4] in "model" coordinates and their heat [n, MAX_BOXES], as
      `decode` gives them.
    """
    import tensorflow as tf

    models = [of.asked for of in detectors]
    run = tf.function(
        lambda x: decode(*join([model(x, training=False) for model in models]), nms_iou),
        input_signature=[tf.TensorSpec([None, *view.shape[1:]], tf.float32)], autograph=False,
    )  # fmt: skip
    boxes: list[np.ndarray] = []
    heat: list[np.ndarray] = []
    step = Step()
    for start in range(0, len(view), batch):
        part = np.asarray(view[start : start + batch], np.float32)
        for found, of in zip((boxes, heat), run(part), strict=True):
            found.append(of.numpy())
        step("locate validation", min(start + batch, len(view)), len(view))
    return np.concatenate(boxes), np.concatenate(heat)


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found]
