"""Training a head by Embedder + Trainer against a notebook's way, on the same images and backbone.

A notebook puts a head on the frozen backbone and calls `model.fit`: the backbone runs once per
epoch. Both sides here train the same number of epochs on the same images at the same size in
float32, and both validate after each epoch; each runs in a process of its own, and its seconds
include building, tracing and compiling, but not imports. Processors of rented machines change
their speed by the minute: short parts are therefore run several times, rates are measured in turns,
and processor seconds stand beside those of the clock.
"""

import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.child import measure
from benchmarks.rates import rates

if TYPE_CHECKING:
    import keras

BACKBONE, SIDE, BATCH = "InceptionV3", 299, 32
TRAIN, VAL, EPOCHS, TRIALS = 960, 192, 10, 50
# The long part has what it is compared with before and behind it.
ORDER = (
    "embedder",
    "notebook",
    "embedder",
    "tuner",
    "rates",
    "layer",
    "end_to_end",
    "bfloat16",
    "layer",
    "embedder",
)


def bench() -> dict[str, Any]:
    """Seconds, images per second and ratios; of parts that ran more than once their medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _images(folder)
        runs: dict[str, list[dict[str, Any]]] = {}
        for what in ORDER:
            cost = measure("-m", "benchmarks.training", what, folder)
            found = json.loads(cost.output.strip().splitlines()[-1])
            runs.setdefault(what, []).append({**found, "peak_mib": round(cost.peak_mib)})
    of = {what: _median(several) for what, several in runs.items()}
    notebook, ours = of["notebook"], of["embedder"]
    return {
        "work": f"{BACKBONE} at {SIDE}, {TRAIN} + {VAL} images, {EPOCHS} epochs",
        **of,
        "ratio": {
            "first_head": notebook["seconds"] / ours["first_head_s"],
            "first_head_processor": notebook["processor_s"] / ours["processor_s"],
            "second_head": notebook["seconds"] / ours["second_head_s"],
            "notebook_epoch_to_tuner": notebook["seconds"] / EPOCHS / of["tuner"]["seconds"],
            **of["rates"]["ratio"],
            "cut_to_end_to_end": of["end_to_end"]["epoch_s"] / of["layer"]["epoch_s"],
            "bfloat16_to_float32": of["end_to_end"]["epoch_s"] / of["bfloat16"]["epoch_s"],
        },
        "bound_by": "arithmetic of the backbone; a head costs tracing and no more",
    }


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One run as it is; of several the median of each number, and all of them under `runs`."""
    if len(runs) == 1:
        return runs[0]
    numbers = [name for name, value in runs[0].items() if type(value) in (int, float)]
    return {
        **runs[0],
        **{name: statistics.median(run[name] for run in runs) for name in numbers},
        "runs": {name: [round(run[name], 1) for run in runs] for name in numbers},
    }


def _images(folder: Path) -> None:
    """Phantoms as Transform writes them, and as one array for the notebook."""
    import tensorflow as tf

    from core.images.decode_tf import decode_gray, resize_gray
    from core.phantom.dataset import write_phantoms
    from schema import features as f
    from tests.support.records import feature

    write_phantoms(folder / "phantoms", TRAIN + VAL, 0)
    files = sorted((folder / "phantoms").rglob("*.jpeg"), key=lambda file: file.name)
    order = np.random.default_rng(0).permutation(len(files))
    files = [files[i] for i in order[: TRAIN + VAL]]
    pixels, labels = [], []
    for split, of in (("train", files[:TRAIN]), ("val", files[TRAIN:])):
        out = folder / "transformed" / f"Split-{split}"
        out.mkdir(parents=True)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(out / "part.gz"), options) as writer:
            for file in of:
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


def _notebook(folder: Path) -> dict[str, Any]:
    import keras

    from core.models.backbones import TOP, split_backbone

    stored = np.load(folder / "images.npz")
    pixels, labels = stored["pixels"], stored["labels"]
    started, processor = time.monotonic(), time.process_time()
    keras.utils.set_random_seed(0)
    backbone = split_backbone(BACKBONE, SIDE, None, TOP)[0]
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    model = keras.Model(backbone.input, keras.layers.Dense(2)(keras.layers.Dropout(0.2)(pooled)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit(
        pixels[:TRAIN],
        labels[:TRAIN],
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
        validation_data=(pixels[TRAIN:], labels[TRAIN:]),
    )
    return {
        "seconds": time.monotonic() - started,
        "processor_s": time.process_time() - processor,
        "epochs": len(history.history["loss"]),
    }


def _embed(folder: Path, layer: str) -> float:
    """Runs the Embedder's own functions; returns seconds."""
    from core.embedding.embed import embed_split
    from core.embedding.forward import select_forward
    from core.training.transformed_images import transformed_images

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


def _head(folder: Path, layer: str, epochs: int, seed: int = 0) -> "tuple[keras.Model, float]":
    from core.embedding.store import read_embeddings
    from core.models.classifier import feature_moments
    from core.models.head import select_pooling
    from core.models.options import ModelOptions
    from core.training.head_phase import fit_head
    from core.training.options import TrainingOptions
    from core.training.targets import labeled_rows
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


def _embedder(folder: Path) -> dict[str, Any]:
    processor = time.process_time()
    embed_s = _embed(folder, "top")
    _, head_s = _head(folder, "top", EPOCHS)
    processor = time.process_time() - processor
    _, second_s = _head(folder, "top", EPOCHS, seed=1)
    return {
        "first_head_s": embed_s + head_s,
        "processor_s": processor,
        "second_head_s": second_s,
    }


def _tuner(folder: Path) -> dict[str, Any]:
    """The Tuner node's search on what the Embedder wrote, with its defaults."""
    from types import SimpleNamespace

    # As the notebook's, the clock starts when the libraries are there.
    import keras_tuner  # noqa: F401
    import tfx.components.tuner.component  # noqa: F401

    from components.trainer.tuner_fn import tuner_fn
    from core.models.backbone_weights import BackboneWeights
    from core.models.options import ModelOptions
    from core.training.options import TrainingOptions
    from schema.labels import BINARY

    given = SimpleNamespace(
        custom_config={
            "name": "bench",
            "task": BINARY.to_dict(),
            "model": ModelOptions(backbone=BACKBONE).model_dump(),
            "image_size": SIDE,
            "layer": "top",
            "training": TrainingOptions().model_dump(),
            "evaluation": {},
            "weights": BackboneWeights("random", "", "").to_dict(),
            "synthetic": True,
            "checkpoints": str(folder / "checkpoints"),
            "tuner": {"trials": TRIALS},
        },
        train_files=[str(folder / "top" / "train" / "*")],
        eval_files=[str(folder / "top" / "val" / "*")],
        working_dir=str(folder / "tuner"),
    )
    started = time.monotonic()
    found = tuner_fn(given)
    found.tuner.search(**found.fit_kwargs)
    seconds = time.monotonic() - started
    trials = found.tuner.oracle.trials.values()
    done = sum(trial.status == "COMPLETED" for trial in trials)
    return {"seconds": seconds, "trials": done}


def _tune(folder: Path, source: str, compute: str = "float32") -> dict[str, Any]:
    """One epoch of fine-tuning from the backbone's own layer."""
    from unittest.mock import patch

    from core.embedding.store import read_embeddings
    from core.metrics.options import EvaluationOptions
    from core.models.backbone_weights import BackboneWeights
    from core.models.backbones import resolve_layer
    from core.models.options import ModelOptions
    from core.training.fine_tuning import BackboneConfig, fine_tune
    from core.training.image_training_data import copy_records, image_training_data
    from core.training.job import Job
    from core.training.loop import callbacks
    from core.training.loop.batches import data_from_rows
    from core.training.loop.compute_dtype import bfloat16_is_native
    from core.training.loop.curves import OutputPaths
    from core.training.options import FineTuneOptions, TrainingOptions
    from core.training.targets import labeled_rows
    from schema.labels import BINARY

    layer = resolve_layer(BACKBONE, "default")
    embed_s = _embed(folder, layer) if source == "cache" else 0.0
    # Features for a first head; the head itself is not what is measured.
    head, _ = _head(folder, "top", 1)
    train, val = (
        read_embeddings(folder / (layer if source == "cache" else "top") / split)
        for split in ("train", "val")
    )
    rows, val_rows = (
        labeled_rows(train, BINARY, balanced=True),
        labeled_rows(val, BINARY, balanced=False),
    )
    options = FineTuneOptions.model_validate(
        {"source": source, "epochs": 2, "batch_size": BATCH, "compute": compute}
    )
    training = TrainingOptions(fine_tune=options)
    if source == "cache":
        at_layer = replace(rows, views=train.maps)
        data = data_from_rows(at_layer, replace(val_rows, views=val.maps), 0, BATCH)
    else:
        job = Job(
            name="bench",
            task=BINARY,
            model=ModelOptions(backbone=BACKBONE),
            size=SIDE,
            layer=layer,
            training=training,
            evaluation=EvaluationOptions(),
            weights=BackboneWeights("random"),
            synthetic=True,
            checkpoints="",
        )
        train_images, val_images = (
            copy_records(
                [str(folder / "transformed" / f"Split-{split}" / "*")], folder / f"{split}.images"
            )
            for split in ("train", "val")
        )
        data = image_training_data(job, 0, train_images, val_images, rows, val_rows)
    ends: list[float] = []
    record = callbacks.CurveRecorder.on_epoch_end

    def timed(self: Any, epoch: int, logs: dict[str, Any]) -> None:
        record(self, epoch, logs)
        ends.append(time.monotonic())

    outputs = OutputPaths(folder / "states" / source / compute, folder / "logs")
    backbone = BackboneConfig(BACKBONE, SIDE, None, layer, 0)
    with patch.object(callbacks.CurveRecorder, "on_epoch_end", timed):
        fine_tune(backbone, head, data, "avg", options, training, 0, outputs)
    # The second epoch: the first one holds the tracing.
    named = {"from": layer, "native_bfloat16": bfloat16_is_native()}
    return {"epoch_s": ends[1] - ends[0], "embed_s": embed_s, **named}


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    parts = {
        "notebook": _notebook,
        "embedder": _embedder,
        "tuner": _tuner,
        "rates": lambda of: rates(of, BACKBONE, SIDE, BATCH),
        "layer": lambda of: _tune(of, "cache"),
        "end_to_end": lambda of: _tune(of, "images"),
        "bfloat16": lambda of: _tune(of, "images", "bfloat16"),
    }
    print(json.dumps(parts[what](folder)))


if __name__ == "__main__":
    main()
