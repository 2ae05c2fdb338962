"""Training a head with Embedder and Trainer, compared with a notebook.

The notebook puts a head on the frozen backbone and calls `model.fit`, so the backbone runs once per
epoch. Both train the same number of epochs on the same images at the same size in float32 and
validate after each epoch. Each part runs in its own process; its seconds include building, tracing
and compiling, but not imports. The speed of rented processors changes by the minute: short parts
run several times, rates are measured in turns, and CPU seconds are reported besides wall time.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import measure
from benchmarks.fine_tuning import measure_epoch
from benchmarks.rates import rates
from benchmarks.training_setup import (
    BACKBONE,
    BATCH,
    SIDE,
    TRAIN,
    VAL,
    embed,
    train_head,
    write_images,
)

EPOCHS, TRIALS = 10, 50
# The long part runs between the parts that it is compared with.
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
    """Returns seconds, images per second and ratios; medians of parts that ran several times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder)
        runs: dict[str, list[dict[str, Any]]] = {}
        for part in ORDER:
            cost = measure("-m", "benchmarks.training", part, folder)
            result = json.loads(cost.output.strip().splitlines()[-1])
            runs.setdefault(part, []).append({**result, "peak_mib": round(cost.peak_mib)})
    results = {part: _median(part_runs) for part, part_runs in runs.items()}
    notebook, ours = results["notebook"], results["embedder"]
    end_to_end = results["end_to_end"]
    return {
        "work": f"{BACKBONE} at {SIDE}, {TRAIN} + {VAL} images, {EPOCHS} epochs",
        **results,
        "ratio": {
            "first_head": notebook["seconds"] / ours["first_head_s"],
            "first_head_processor": notebook["processor_s"] / ours["processor_s"],
            "second_head": notebook["seconds"] / ours["second_head_s"],
            "notebook_epoch_to_tuner": notebook["seconds"] / EPOCHS / results["tuner"]["seconds"],
            **results["rates"]["ratio"],
            "layer_to_end_to_end": end_to_end["epoch_s"] / results["layer"]["epoch_s"],
            "bfloat16_to_float32": end_to_end["epoch_s"] / results["bfloat16"]["epoch_s"],
        },
        "bound_by": "arithmetic of the backbone; training a head mostly costs tracing",
    }


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns a single run, or the median of each number and all values under `runs`."""
    if len(runs) == 1:
        return runs[0]
    numbers = [name for name, value in runs[0].items() if type(value) in (int, float)]
    return {
        **runs[0],
        **{name: statistics.median(run[name] for run in runs) for name in numbers},
        "runs": {name: [round(run[name], 1) for run in runs] for name in numbers},
    }


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


def _embedder(folder: Path) -> dict[str, Any]:
    processor = time.process_time()
    embed_s = embed(folder, "top")
    _, head_s = train_head(folder, "top", EPOCHS)
    processor = time.process_time() - processor
    _, second_s = train_head(folder, "top", EPOCHS, seed=1)
    return {
        "first_head_s": embed_s + head_s,
        "processor_s": processor,
        "second_head_s": second_s,
    }


def _tuner(folder: Path) -> dict[str, Any]:
    """Runs the search of the Tuner with its defaults on the embeddings."""
    from types import SimpleNamespace

    # Imported first, because imports are not measured.
    import keras_tuner  # noqa: F401
    import tfx.components.tuner.component  # noqa: F401

    from components.trainer.tuner_fn import tuner_fn
    from core.models.backbone_weights import BackboneWeights
    from core.models.options import ModelOptions
    from core.training.options import TrainingOptions
    from schema.labels import BINARY

    fn_args = SimpleNamespace(
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
    result = tuner_fn(fn_args)
    result.tuner.search(**result.fit_kwargs)
    seconds = time.monotonic() - started
    trials = result.tuner.oracle.trials.values()
    done = sum(trial.status == "COMPLETED" for trial in trials)
    return {"seconds": seconds, "trials": done}


def main() -> None:
    part, folder = sys.argv[1], Path(sys.argv[2])
    parts = {
        "notebook": _notebook,
        "embedder": _embedder,
        "tuner": _tuner,
        "rates": lambda folder: rates(folder, BACKBONE, SIDE, BATCH),
        "layer": lambda folder: measure_epoch(folder, "cache"),
        "end_to_end": lambda folder: measure_epoch(folder, "images"),
        "bfloat16": lambda folder: measure_epoch(folder, "images", "bfloat16"),
    }
    print(json.dumps(parts[part](folder)))


if __name__ == "__main__":
    main()
