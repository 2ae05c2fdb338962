"""Folds of shifted validation: one group of one binary side is held out in each.

A split drawn by patient has the same scanners, hospitals and years in training and in validation.
Holding out a whole group shows how a recipe does where they differ (leave-one-group-out
cross-validation; Koh et al., 2021, WILDS, ICML).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.embedding.records import ImageRecords
from core.metrics.options import ShiftedValidationOptions
from schema.labels import Task

# Below it, one image changes sensitivity or specificity by more than 0.05.
MIN_SCORED: Final = 20
# Validation images of the held-out side that remain to select the epoch and the operating point.
MIN_VALIDATION: Final = 10
# What remains of each class in training. With less, a fold measures the lack of data, not shift.
MIN_TRAINING: Final = 20
MIN_TRAINING_SHARE: Final = 0.1

SIDES: Final = ("negative", "positive")


@dataclass(frozen=True)
class Fold:
    """Images of one group and one binary side are held out.

    Attributes:
      group: value of the column.
      side: 0 negative, 1 positive.
      classes: names of the classes of that side.
      train_held_out: held-out images of the training split, int64 [h].
      val_held_out: held-out images of the validation split, int64 [v].
      train_rows: remaining images of the training split; none of a held-out patient.
      val_rows: remaining images of the validation split; none of a held-out patient.
      other_side: images of the validation split with the other binary label, which are scored too.
    """

    group: str
    side: int
    classes: tuple[str, ...]
    train_held_out: np.ndarray
    val_held_out: np.ndarray
    train_rows: np.ndarray
    val_rows: np.ndarray
    other_side: np.ndarray

    @property
    def name(self) -> str:
        """Such as "NORMAL of IM"."""
        return fold_name(self.classes, self.group)

    @property
    def held_out(self) -> int:
        """Number of held-out images."""
        return len(self.train_held_out) + len(self.val_held_out)


@dataclass(frozen=True)
class SkippedFold:
    """A group and side without a fold, and why."""

    group: str
    side: int
    name: str
    images: int
    reason: str


def fold_name(classes: Sequence[str], group: str) -> str:
    """Returns such as "BACTERIA or VIRUS of HOSPITAL-1"."""
    return f"{' or '.join(classes)} of {group}"


def shifted_folds(
    train: ImageRecords, val: ImageRecords, task: Task, options: ShiftedValidationOptions
) -> tuple[list[Fold], list[SkippedFold]]:
    """Returns a fold for each group and binary side that leaves enough images on both sides.

    A patient of a held-out image keeps no image in the training of its fold. Of more than
    `max_folds` folds, those with the most held-out images are used.

    Args:
      train: records of the training split.
      val: records of the validation split.
      task: defines sides and classes.
      options: column and maximum number of folds.

    Returns:
      The folds, by group and side, and the combinations without one.
    """
    groups = sorted({*_column(train, options.by), *_column(val, options.by)})
    made = [_fold(train, val, task, options.by, g, side) for g in groups for side in (0, 1)]
    folds = [fold for fold in made if isinstance(fold, Fold)]
    used = sorted(folds, key=lambda fold: -fold.held_out)[: options.max_folds]
    reason = f"only the {options.max_folds} largest folds are used (max_folds)"
    skipped = [
        SkippedFold(fold.group, fold.side, fold.name, fold.held_out, reason)
        if isinstance(fold, Fold)
        else fold
        for fold in made
        if fold is not None and not any(fold is one for one in used)
    ]
    return [fold for fold in folds if any(fold is one for one in used)], skipped


def _column(records: ImageRecords, by: str) -> list[str]:
    return list(getattr(records, by).tolist())


def _fold(
    train: ImageRecords, val: ImageRecords, task: Task, by: str, group: str, side: int
) -> Fold | SkippedFold | None:
    """Returns the fold or why there is none; None if the group has no image of that side."""
    held_out = [
        (getattr(records, by) == group) & (records.binary_labels(task) == side)
        for records in (train, val)
    ]
    images = int(sum(mask.sum() for mask in held_out))
    if not images:
        return None
    patients = np.union1d(train.patient_id[held_out[0]], val.patient_id[held_out[1]])
    kept = [~np.isin(records.patient_id, patients) for records in (train, val)]
    classes = tuple(task.classes[i] for i in (task.positive if side else task.negative))
    fold = Fold(
        group,
        side,
        classes,
        *(np.flatnonzero(mask) for mask in (*held_out, *kept, val.binary_labels(task) == 1 - side)),
    )
    reason = _too_few(fold, train, val, task)
    return SkippedFold(group, side, fold.name, images, reason) if reason else fold


def _too_few(fold: Fold, train: ImageRecords, val: ImageRecords, task: Task) -> str:
    """Returns what the fold lacks; empty if nothing."""
    labels = train.class_labels(task)
    for i, name in enumerate(task.classes):
        before = int((labels == i).sum())
        left = int((labels[fold.train_rows] == i).sum())
        least = max(MIN_TRAINING, int(np.ceil(MIN_TRAINING_SHARE * before)))
        if left < least:
            return f"{left} of {before} training images of {name} would remain, fewer than {least}"
    if not len(fold.train_held_out):
        return "training has no such image, so nothing can be held out from it"
    if fold.held_out < MIN_SCORED:
        return f"{fold.held_out} images are fewer than {MIN_SCORED}"
    if len(fold.other_side) < MIN_SCORED:
        return (
            f"validation has {len(fold.other_side)} {SIDES[1 - fold.side]} images, fewer than "
            f"{MIN_SCORED}"
        )
    left = int((val.binary_labels(task)[fold.val_rows] == fold.side).sum())
    if left < MIN_VALIDATION:
        return (
            f"{left} {SIDES[fold.side]} validation images would remain, fewer than {MIN_VALIDATION}"
        )
    return ""
