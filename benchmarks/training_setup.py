"""Data and steps that the training benchmarks share."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

BACKBONE, SIDE, BATCH = "InceptionV3", 299, 32
TRAIN, VAL = 960, 192


def write_images(folder: Path) -> None:
    """Writes phantoms like Transform, and as one array for the notebook."""
    import tensorflow as tf

    from core.images.decode_tf import decode_gray
    from core.images.resize_tf import resize_gray
    from core.phantom.dataset import write_phantoms
    from schema import features as f
    from tests.support.records import feature

    write_phantoms(folder / "phantoms", TRAIN + VAL, 0)
    files = sorted((folder / "phantoms").rglob("*.jpeg"), key=lambda file: file.name)
    order = np.random.default_rng(0).permutation(len(files))
    files = [files[i] for i in order[: TRAIN + VAL]]
    pixels, labels = [], []
    for split, split_files in (("train", files[:TRAIN]), ("val", files[TRAIN:])):
        out = folder / "transformed" / f"Split-{split}"
        out.mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(out / "part.gz"), options) as writer:
            for file in split_files:
                image = resize_gray(decode_gray(tf.constant(file.read_bytes())), SIDE, "stretch")
                pathogen = "normal" if "NORMAL" in str(file) else "bacteria"
                pixels.append(image.numpy())
                labels.append(int(pathogen != "normal"))
                row = {
                    f.IMAGE_PNG: tf.io.encode_png(image, compression=1).numpy(),
                    **dict.fromkeys(f.RECORD_STRINGS, file.name),
                    f.PATHOGEN: pathogen,
                    f.IMAGE_HEIGHT: SIDE,
                    f.IMAGE_WIDTH: SIDE,
                    f.STATS_MEAN: 1.0,
                }
                features = tf.train.Features(feature={k: feature(v) for k, v in row.items()})
                writer.write(tf.train.Example(features=features).SerializeToString())
    np.savez(folder / "images.npz", pixels=np.stack(pixels), labels=np.array(labels))


def embed(folder: Path, layer: str) -> float:
    """Runs the functions of the Embedder; returns seconds."""
    from core.embedding.embed import embed_split
    from core.embedding.forward import select_forward
    from core.training.data.transformed_images import transformed_images

    started = time.monotonic()
    sample = np.load(folder / "images.npz")["pixels"][:16]
    forward = select_forward(BACKBONE, SIDE, None, layer, "float32", sample).forward
    for split in ("train", "val"):
        files = [str(folder / "transformed" / f"Split-{split}" / "*")]
        embed_split(
            transformed_images(files, SIDE, BATCH),
            forward,
            folder / layer / split,
            split,
            storage="float16",
        )
    return time.monotonic() - started


def train_head(folder: Path, layer: str, epochs: int, seed: int = 0) -> "tuple[keras.Model, float]":
    """Trains a head on the embeddings of a layer; returns it and the seconds."""
    from core.embedding.store import read_embeddings
    from core.models.classifier import feature_moments
    from core.models.head import select_pooling
    from core.models.options import ModelOptions
    from core.training.classifier.head_phase import fit_head
    from core.training.data.targets import labeled_rows
    from core.training.options import TrainingOptions
    from schema.labels import BINARY

    started = time.monotonic()
    train, val = (read_embeddings(folder / layer / split) for split in ("train", "val"))
    options = TrainingOptions(epochs=epochs, batch_size=BATCH, patience=epochs)
    head, curves = fit_head(
        labeled_rows(train, BINARY, balanced=True),
        labeled_rows(val, BINARY, balanced=False),
        feature_moments(select_pooling(train.features[0], "avg")),
        BINARY,
        ModelOptions(backbone=BACKBONE),
        options,
        seed,
    )
    assert len(curves) == epochs
    return head, time.monotonic() - started
