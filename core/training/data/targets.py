"""Training targets and example weights of the records of a split."""

import numpy as np

from core.embedding.store import Embeddings
from core.training.loop.batches import LabeledRows
from schema.labels import Task


def class_targets(pathogens: np.ndarray, task: Task, boxes: np.ndarray | None = None) -> np.ndarray:
    """Returns the classes that each record may belong to.

    Args:
      pathogens: str [n].
      task: defines the classes.
      boxes: int [n], number of boxes of each image; None: no image has boxes.

    Returns:
      float32 [n, classes] of 0 and 1; an all-zero row marks a record outside the task.
    """
    marked = np.zeros(len(pathogens), bool) if boxes is None else np.asarray(boxes) > 0
    known = list(zip(pathogens.tolist(), marked.tolist(), strict=True))
    rows = {record: np.zeros(len(task.classes), np.float32) for record in set(known)}
    for record, row in rows.items():
        row[list(task.compatible_classes(*record))] = 1.0
    if not known:
        return np.zeros((0, len(task.classes)), np.float32)
    return np.stack([rows[record] for record in known])


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Returns balanced class weights, n / (classes * n_c) (King & Zeng, 2001).

    Args:
      counts: number of images of each class, [classes], all above 0.
    """
    return np.asarray(counts.sum() / (len(counts) * counts))


def example_weights(targets: np.ndarray, balanced: bool) -> np.ndarray:
    """Returns the weight of each image in the loss, float32 [n].

    Args:
      targets: float32 [n, classes], see `class_targets`.
      balanced: use `class_weights`, computed from the images of exactly one class; an image of
        several possible classes gets the mean of their weights. False: all weights are 1.

    Raises:
      ValueError: `balanced`, and a class has no image that belongs to it alone.
    """
    if not balanced:
        return np.ones(len(targets), np.float32)
    alone = targets[targets.sum(axis=1) == 1]
    counts = alone.sum(axis=0)
    if not len(alone) or not counts.all():
        raise ValueError(
            f"balanced class weights need a training image of each class; counts per class are "
            f"{counts.tolist()}"
        )
    weights = (targets @ class_weights(counts)) / np.maximum(targets.sum(axis=1), 1)
    return np.asarray(weights, np.float32)


def labeled_rows(
    embeddings: Embeddings, task: Task, balanced: bool, selected: np.ndarray | None = None
) -> LabeledRows:
    """Returns the pooled features of a split with the targets of the images of the task.

    Args:
      embeddings: of the split.
      task: defines the classes.
      balanced: see `example_weights`.
      selected: images to use, int [m]; None: all.

    Raises:
      ValueError: no image belongs to the task, or balanced weights lack a class.
    """
    targets = class_targets(embeddings.records.pathogen, task, embeddings.records.box_counts)
    rows = np.flatnonzero(targets.sum(axis=1) > 0)
    if selected is not None:
        rows = np.intersect1d(rows, selected)
    if not len(rows):
        raise ValueError(
            f"no image has a class of task {task.name!r}; check the pathogens of the records"
        )
    weights = np.zeros(len(targets), np.float32)
    weights[rows] = example_weights(targets[rows], balanced)
    return LabeledRows(embeddings.features, targets, weights, rows)
