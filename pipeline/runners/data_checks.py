"""Checks of the data before the graph starts: splits, classes, boxes."""

import json
from pathlib import Path

from core.ingest.summary import IngestSummary
from pipeline.config import Config
from schema.errors import PneumoError
from schema.features import SPLITS


def check_records(config: Config, records: Path, summary: IngestSummary) -> None:
    """Checks that records have images in each split, and of each class in train and validation.

    An image that belongs to one of several classes counts for each of them, except in train with
    balanced class weights, which are computed from the images of exactly one class.

    Raises:
      PneumoError: a split or a class has no image.
    """
    rejected = summary.unknown_classes
    because = f". {rejected[0]}" if rejected else ""
    for split in SPLITS:
        if not any(records.glob(f"{split}-*.tfrecord")):
            raise PneumoError(
                f"{records} has no image in split {split!r}; a run needs train, val and test; "
                f"add patients, or change data.ingest.split or data.ingest.val_fraction{because}"
            )
    task = config.task
    if task.located:
        return  # the class comes from the boxes, see `check_boxes`
    for split in ("train", "val"):
        alone = split == "train" and config.training.class_weight == "balanced"
        for i, name in enumerate(task.classes):
            images = sum(
                count
                for pathogen, count in summary.splits.get(split, {}).items()
                if i in (classes := task.compatible_classes(pathogen, 0))
                and not (alone and len(classes) > 1)
            )
            if not images:
                remedy = "" if rejected else "; add images of it, or choose another data.task"
                raise PneumoError(f"{split} has no image of {name}{remedy}{because}")


def check_boxes(config: Config, records: Path) -> None:
    """Checks that records of a located task contain boxes.

    Raises:
      PneumoError: train or val has no image with a box, or no image without one.
    """
    if not config.task.located:
        return
    found = {split: [0, 0] for split in ("train", "val")}
    manifest = records / "manifest.jsonl"
    if manifest.is_file():
        with manifest.open() as lines:
            for line in lines:
                row = json.loads(line)
                if row["split"] in found:
                    found[row["split"]][int(row.get("boxes", 0) > 0)] += 1
    for split, (without, marked) in found.items():
        if not marked or not without:
            raise PneumoError(
                f"{records}: split {split!r} has {marked} images with a box and {without} without; "
                "task locate needs both. Ingest with data.ingest.boxes (a CSV of boxes), or choose "
                "another data.task"
            )
