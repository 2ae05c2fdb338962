"""Streams a split through the frozen backbone to disk."""

import contextlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.embedding.forward import BackboneForward
from core.embedding.pixel_sample import PixelSampler
from core.embedding.records import BOXES, ImageRecords, ragged_boxes
from core.embedding.store import METADATA_FILE, ArrayWriter, features_file, maps_file, write_boxes
from core.images.boxes import fit_boxes
from core.models.options import AugmentOptions
from core.progress import ProgressReporter
from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf

SAMPLE_IMAGES_FILE = "samples.npy"  # uint8 [images * (views + 1), s, s, 1]
SAMPLE_IMAGES = 4  # of the first batch

log = logging.getLogger("pneumo.embed")


def embed_split(
    images: "tf.data.Dataset",
    forward: BackboneForward,
    folder: Path,
    split: str,
    *,
    storage: str,
    views: int = 0,
    augment: AugmentOptions | None = None,
    seed: int = 0,
    metadata: dict[str, Any] | None = None,
    fit: str = "stretch",
) -> dict[str, Any]:
    """Writes the embeddings of one split; memory use does not depend on the number of images.

    Args:
      images: batches of (uint8 [n, s, s, 1], record features); see `parse_records`.
      forward: the backbone.
      folder: destination; created if missing.
      split: name of the split.
      storage: float16 or float32.
      views: number of augmented views of each image, in addition to the image itself.
      augment: augmentation of the views; None: the defaults.
      seed: of the views; the same seed gives the same views.
      metadata: additional content of `embedding.json`.
      fit: how images were resized to a square; boxes are resized in the same way.

    Returns:
      The content of `embedding.json`.

    Raises:
      ValueError: the split has no image, or a value does not fit the storage type.
    """
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    # For fine-tuning, augmented views are needed at the layer only, not at the backbone's output.
    only_maps = forward.below is not None
    features_of_batches: list[dict[str, Any]] = []
    # Settings that are chosen on images, not on features, are chosen on validation.
    sample = PixelSampler() if split == "val" else None
    boxes: list[list[np.ndarray]] = [[] for _ in range(views + 1)]
    with contextlib.ExitStack() as files:
        pooled = [
            files.enter_context(ArrayWriter(features_file(folder, view), storage))
            for view in range(1 if only_maps else views + 1)
        ]
        maps = [
            files.enter_context(ArrayWriter(maps_file(folder, view), storage))
            for view in range(views + 1 if only_maps else 0)
        ]
        progress, done, started = ProgressReporter(), 0, time.monotonic()
        for number, (pixels, record) in enumerate(images):
            features_of_batches.append({name: value.numpy() for name, value in record.items()})
            if sample is not None:
                sample.add(pixels.numpy(), features_of_batches[-1].get(BOXES))
            sample_views, side = [], int(pixels.shape[1])
            image_boxes = fit_boxes(
                record[BOXES], record[f.IMAGE_HEIGHT], record[f.IMAGE_WIDTH], fit, side
            )
            for view in range(views + 1):
                view_pixels, view_boxes = pixels, image_boxes
                if view:
                    from core.models import augment as augmentation

                    key = tf.constant([seed, number * 64 + view], tf.int32)
                    options = augment or AugmentOptions()
                    view_pixels = augmentation.augment(pixels, options, key)
                    view_boxes = augmentation.augment_boxes(image_boxes, side, options, key)
                boxes[view] += [row[~np.isnan(row[:, 0])] for row in view_boxes.numpy()]
                sample_views.append(view_pixels[:SAMPLE_IMAGES].numpy())
                if view and forward.below is not None:
                    maps[view].add(forward.below(view_pixels).numpy())
                    continue
                features, at_layer = forward.whole(view_pixels)
                pooled[view].add(features.numpy())
                if at_layer is not None:
                    maps[view].add(at_layer.numpy())
            if not number:
                # Each image is followed by its views.
                stacked = np.stack(sample_views, axis=1).reshape(-1, *pixels.shape[1:])
                np.save(folder / SAMPLE_IMAGES_FILE, stacked)
            done += int(pixels.shape[0])
            progress(f"embed {split}", done)
        seconds = time.monotonic() - started
        if not done:
            raise ValueError(f"split {split!r} has no image; check the output of Transform")
    ImageRecords.from_batches(features_of_batches).write(folder)
    write_boxes(folder, [ragged_boxes(rows) for rows in boxes])
    if sample is not None:
        sample.write(folder)
    content = {
        **(metadata or {}),
        "images": done,
        "views": views,
        "storage": storage,
        "storage_error": max(writer.error for writer in (*pooled, *maps)),
        "seconds": round(seconds, 3),
        "images_per_second": round(done * (views + 1) / seconds, 2),
    }
    (folder / METADATA_FILE).write_text(json.dumps(content, indent=1))
    log.info("embedded %d images of %s in %.1f s, %d views", done, split, seconds, views + 1)
    return content
