"""One process of a training: python -m tests.components.trainer.rank FOLDER SOURCE STATES [KILL].

FOLDER holds what `site` wrote; SOURCE is cache or images; STATES is where checkpoints go. KILL is
RANK:EPOCH: that rank kills itself when it has learned the first batch of that epoch. Writes
FOLDER/OUT-RANK.npz (OUT from the environment): the weights, and the curves as JSON.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

SIZE, COUNT, VAL = 32, 41, 13  # the last batch of an epoch has a single image
CUT, BATCH, EPOCHS = "block_16_expand", 8, 3


def site(folder: Path) -> None:
    """Transformed records of both splits, 17 files of train, and the activations at the cut."""
    import tensorflow as tf

    from components.trainer.data import transformed_images
    from schema import features as f
    from tests.support.images import gray
    from tests.support.records import feature

    for split, count, files in (("train", COUNT, 17), ("val", VAL, 1)):
        (folder / split).mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        for part in range(files):
            with tf.io.TFRecordWriter(str(folder / split / f"{part:02}.gz"), options) as out:
                for i in range(part, count, files):
                    out.write(_record(f, feature, gray, split, i))
        batches = list(transformed_images([str(folder / split / "*.gz")], SIZE, 64))
        pixels = np.concatenate([of.numpy() for of, _ in batches])
        names = np.concatenate([of[f.PATHOGEN].numpy() for _, of in batches]).astype(str)
        lower, _ = job(folder).trunk.split()
        np.savez(folder / f"{split}.npz", names=names, maps=lower(pixels.astype(np.float32)))


def _record(f: Any, feature: Any, gray: Any, split: str, i: int) -> bytes:
    import tensorflow as tf

    pathogen = ("normal", "bacteria", "virus")[i % 3]
    image = gray(SIZE, SIZE, i + (1000 if split == "val" else 0)) // 2
    image[8:24, 8:24] += np.uint8(0 if pathogen == "normal" else 120)
    row = {
        f.IMAGE_PNG: feature(tf.io.encode_png(image[..., None]).numpy()),
        f.IMAGE_SHA256: feature(f"{split}-{i}"), f.IMAGE_FILENAME: feature(f"{i}.jpeg"),
        f.PATIENT_ID: feature(f"person{i}"), f.PATHOGEN: feature(pathogen),
        f.IMAGE_SOURCE: feature("person"), f.IMAGE_HEIGHT: feature(SIZE),
        f.IMAGE_WIDTH: feature(SIZE), f.STATS_MEAN: feature(float(image.mean())),
    }  # fmt: skip
    return tf.train.Example(features=tf.train.Features(feature=row)).SerializeToString()


def job(folder: Path, source: str = "images", distribution: str = "none") -> Any:
    from components.trainer.job import Job
    from schema.labels import BINARY

    tune = {"from_cut": CUT, "source": source, "epochs": EPOCHS, "batch_size": BATCH,
            "learning_rate": 1e-3, "patience": 9}  # fmt: skip
    return Job.parse(
        {
            "name": "small",
            "model": {"trunk": "MobileNetV2", "weights": "random", "dense": [8], "dropout": 0.3},
            "training": {"fine_tune": tune, "distribution": distribution},
            "evaluation": {},
            "weights": {"kind": "random"},
            "task": BINARY.to_dict(),
            "image_size": SIZE,
            "cut": CUT,
            "synthetic": True,
            "checkpoints": str(folder / "states"),
        }
    )


def main() -> None:
    folder, source, states = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    kill = sys.argv[4] if len(sys.argv) > 4 else ""
    from components.trainer.cluster import cluster_of
    from components.trainer.distribution import Team
    from schema.errors import PneumoError

    alone = cluster_of().size == 1
    try:
        team = Team("none" if alone else "multi_worker")
        with team.lost_is_told():
            train(folder, source, states, kill, team)
            team.meet()
    except PneumoError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


def train(folder: Path, source: str, states: str, kill: str, team: Any) -> None:
    from dataclasses import replace

    import keras

    from components.trainer.batches import Rows
    from components.trainer.fit import Places, fine_tune, new_head
    from components.trainer.images import images_source, unpack_images
    from components.trainer.losses import example_weights, targets_of
    from components.trainer.sources import rows_source
    from schema.labels import BINARY

    of = job(folder, source, "none" if team.strategy is None else "multi_worker")

    def rows(split: str) -> Rows:
        stored = np.load(folder / f"{split}.npz")
        targets = targets_of(stored["names"], BINARY)
        weights = example_weights(targets, split == "train")
        return Rows((stored["maps"],), targets, weights, np.arange(len(targets)))

    if source == "images":
        files = [[str(folder / split / "*.gz")] for split in ("train", "val")]
        scratch = folder / f"scratch-{os.getpid()}"
        images = unpack_images(files[0], files[1], scratch, team)
        whole = rows("train") if team.chief else None
        batches = images_source(of, 5, images, whole, team)
    else:
        batches = rows_source(rows("train"), rows("val"), 5, BATCH, team.share)
    if kill and int(kill.split(":", maxsplit=1)[0]) == team.share.rank:
        epoch, inner = int(kill.split(":")[1]), batches.epoch

        def deadly(number: int) -> Any:
            for i, batch in enumerate(inner(number)):
                if number + 1 == epoch and i == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        batches = replace(batches, epoch=deadly)
    wide = np.random.default_rng(0).normal(size=(2, 1280)).astype(np.float32)
    head = new_head((wide[0], np.abs(wide[1]) + 0.1), BINARY, of.model, 5)
    keras.utils.set_random_seed(1)
    last = head.layers[-1]
    last.kernel.assign(np.random.default_rng(1).normal(size=last.kernel.shape) * 0.1)
    places = Places(states, folder / f"logs-{team.share.rank}")
    upper, top, curves = fine_tune(
        of.trunk, head, batches, "avg", of.training.fine_tune, of.training, 5, places, team
    )
    weights = {f"w{i}": w for i, w in enumerate([*upper.get_weights(), *top.get_weights()])}
    told = np.array(json.dumps(curves.to_dict()))
    np.savez(folder / f"{os.environ['OUT']}-{team.share.rank}.npz", curves=told, **weights)


if __name__ == "__main__":
    main()
