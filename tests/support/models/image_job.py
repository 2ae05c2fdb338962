"""Transformed records of small images and a training job that reads them."""

from pathlib import Path
from typing import Any

SIZE, COUNT, VAL = 32, 41, 13  # the last batch of an epoch has a single image
LAYER, BATCH, EPOCHS = "block_16_expand", 8, 3


def write_records(folder: Path, size: int = SIZE) -> None:
    """Writes gzip TFRecords of both splits (17 files of train) and `SPLIT.npz` with `names`."""
    import numpy as np
    import tensorflow as tf

    from core.training.data.transformed_images import transformed_images
    from schema import features as f

    for split, count, files in (("train", COUNT, 17), ("val", VAL, 1)):
        (folder / split).mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        for part in range(files):
            with tf.io.TFRecordWriter(str(folder / split / f"{part:02}.gz"), options) as out:
                for i in range(part, count, files):
                    out.write(_record(split, i, size))
        batches = list(transformed_images([str(folder / split / "*.gz")], size, 64))
        names = np.concatenate([record[f.PATHOGEN].numpy() for _, record in batches]).astype(str)
        np.savez(folder / f"{split}.npz", names=names)


def _record(split: str, i: int, size: int) -> bytes:
    """Returns a record; images other than `normal` have a bright square."""
    import numpy as np
    import tensorflow as tf

    from schema import features as f
    from tests.support.images.synthetic import gray
    from tests.support.records import feature

    pathogen = ("normal", "bacteria", "virus")[i % 3]
    image = gray(size, size, i + (1000 if split == "val" else 0)) // 2
    image[8:24, 8:24] += np.uint8(0 if pathogen == "normal" else 120)
    row = {
        f.IMAGE_PNG: feature(tf.io.encode_png(image[..., None]).numpy()),
        f.IMAGE_SHA256: feature(f"{split}-{i}"),
        f.IMAGE_FILENAME: feature(f"{i}.jpeg"),
        f.PATIENT_ID: feature(f"person{i}"),
        f.PATHOGEN: feature(pathogen),
        f.IMAGE_SOURCE: feature("person"),
        f.IMAGE_HEIGHT: feature(size),
        f.IMAGE_WIDTH: feature(size),
        f.STATS_MEAN: feature(float(image.mean())),
    }
    return tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString()


def image_job(folder: Path, **fine_tune: Any) -> Any:
    """Returns a job that fine-tunes MobileNetV2 with random weights on images."""
    from core.training.job import Job
    from core.training.options import TrainerOptions
    from schema.labels import BINARY

    tune = {
        "trainable_from": LAYER,
        "source": "images",
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "learning_rate": 1e-3,
        "patience": 9,
        **fine_tune,
    }
    return Job.resolve(
        TrainerOptions.model_validate(
            {
                "name": "small",
                "model": {
                    "backbone": "MobileNetV2",
                    "weights": "random",
                    "dense": [8],
                    "dropout": 0.3,
                },
                "training": {"fine_tune": tune},
                "evaluation": {},
                "weights": {"kind": "random"},
                "task": BINARY.to_dict(),
                "image_size": SIZE,
                "layer": LAYER,
                "synthetic": True,
                "checkpoints": str(folder / "states"),
            }
        )
    )
