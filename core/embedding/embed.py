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
from core.embedding.store import FACTS, ArrayWriter, features_file, maps_file, write_boxes
from core.images.boxes import fit_boxes
from core.models.options import AugmentOptions
from core.progress import ProgressReporter
from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf

SAMPLES = "samples.npy"  # uint8 [images * (views + 1), s, s, 1]
SHOWN = 4  # images of the first batch

log = logging.getLogger("pneumo.embed")


def embed_split(
    images: "tf.data.Dataset",
    forward: BackboneForward,
    folder: Path,
    what: str,
    *,
    storage: str,
    views: int = 0,
    augment: AugmentOptions | None = None,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
    fit: str = "stretch",
) -> dict[str, Any]:
    """Writes the embeddings of one split; memory does not grow with its length.

    Args:
      images: batches of (uint8 [n, s, s, 1], identity of the records).
      folder: where to; made if need be.
      what: name of the split.
      storage: float16 or float32.
      views: number of augmented views of each image, beside the image itself.
      seed: of the views; a second pass with the same seed gives the same views.
      facts: more to store in `embedding.json`.
      fit: how images were brought to the square, for their boxes.

    Returns:
      what `embedding.json` holds.

    Raises:
      ValueError: the split has no image, or a value does not fit the storage type.
    """
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    # Where blocks of the backbone learn, views are needed below them and not above.
    only_maps = forward.below is not None
    identities: list[dict[str, Any]] = []
    # What is chosen with images, and not with features, is chosen on validation.
    sample = PixelSampler() if what == "val" else None
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
        step, done, started = ProgressReporter(), 0, time.monotonic()
        for number, (pixels, identity) in enumerate(images):
            identities.append({name: value.numpy() for name, value in identity.items()})
            if sample is not None:
                sample.add(pixels.numpy(), identities[-1].get(BOXES))
            shown, side = [], int(pixels.shape[1])
            of_image = fit_boxes(
                identity[BOXES], identity[f.IMAGE_HEIGHT], identity[f.IMAGE_WIDTH], fit, side
            )
            for view in range(views + 1):
                seen, where = pixels, of_image
                if view:
                    from core.models import augment as changed

                    key = tf.constant([seed, number * 64 + view], tf.int32)
                    options = augment or AugmentOptions()
                    seen = changed.augment(pixels, options, key)
                    where = changed.augment_boxes(of_image, side, options, key)
                boxes[view] += [row[~np.isnan(row[:, 0])] for row in where.numpy()]
                shown.append(seen[:SHOWN].numpy())
                if view and forward.below is not None:
                    maps[view].add(forward.below(seen).numpy())
                    continue
                features, at_layer = forward.whole(seen)
                pooled[view].add(features.numpy())
                if at_layer is not None:
                    maps[view].add(at_layer.numpy())
            if not number:
                # Image after image, each followed by its views: what a person wants to look at.
                np.save(folder / SAMPLES, np.stack(shown, axis=1).reshape(-1, *pixels.shape[1:]))
            done += int(pixels.shape[0])
            step(f"embed {what}", done)
        seconds = time.monotonic() - started
        if not done:
            raise ValueError(f"split {what!r} has no image; look at what Transform wrote")
    ImageRecords.from_batches(identities).write(folder)
    write_boxes(folder, [ragged_boxes(rows) for rows in boxes])
    if sample is not None:
        sample.write(folder)
    found = {
        **(facts or {}),
        "images": done,
        "views": views,
        "storage": storage,
        "storage_error": max(writer.error for writer in (*pooled, *maps)),
        "seconds": round(seconds, 3),
        "images_per_second": round(done * (views + 1) / seconds, 2),
    }
    (folder / FACTS).write_text(json.dumps(found, indent=1))
    log.info("embedded %d images of %s in %.1f s, %d views", done, what, seconds, views + 1)
    return found
