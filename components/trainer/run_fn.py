"""What the Trainer node runs: embed once, train the head, export."""

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.progress import Step
from components.trainer.data import transformed_images
from components.trainer.embed import embed, forward_of
from components.trainer.fit import fit_head
from components.trainer.head import build_head, pool
from components.trainer.options import ModelOptions, TrainingOptions
from components.trainer.trunks import build_trunk, image_size
from components.trainer.weights import Weights
from schema.labels import task

if TYPE_CHECKING:
    from tfx.v1.components import FnArgs

log = logging.getLogger("pneumo.trainer")


def run_fn(fn_args: "FnArgs") -> None:
    """Entry point of the TFX Trainer.

    `custom_config` holds `model`, `training`, `weights`, `task`, `threshold` and `synthetic`, as
    the graph puts them there. Writes the SavedModel to `serving_model_dir` and the training record
    (curves, checkpoints, TensorBoard logs, model summary, facts) to `model_run_dir`.
    """
    import keras
    import tensorflow_transform as tft

    from components.transform.decode import from_png
    from serving.export import export

    config: dict[str, Any] = fn_args.custom_config
    model_options = ModelOptions(**config["model"])
    options = TrainingOptions(**config["training"])
    weights = Weights(**config["weights"])
    of = task(config["task"])
    size = image_size(model_options.trunk, model_options.image_size)
    folder = Path(fn_args.model_run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if notice := weights.notice(model_options.trunk):
        log.warning(notice)

    started = time.monotonic()
    keras.utils.set_random_seed(options.seed)
    trunk = build_trunk(model_options.trunk, size, weights.file or None)
    embedder = keras.Model(trunk.input, pool(trunk.output, model_options.pooling), name="embedder")
    forward = forward_of(embedder)
    step = Step()
    batch = options.trunk_batch_size
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        train = embed(
            transformed_images(fn_args.train_files, size, batch),
            forward,
            Path(scratch) / "train.f32",
            step,
            "embed train",
        )
        val = embed(
            transformed_images(fn_args.eval_files, size, batch),
            forward,
            Path(scratch) / "val.f32",
            step,
            "embed val",
        )
        mean, deviation = moments(train.features)
        head = build_head(mean, deviation, len(of.classes), model_options)
        fit_started = time.monotonic()
        fitted = fit_head(head, train, val, options, folder)
        fit_seconds = time.monotonic() - fit_started
        counts = {
            name: np.bincount(split.labels, minlength=len(of.classes)).tolist()
            for name, split in (("train", train), ("val", val))
        }
    logits = head(embedder.output)
    model = keras.Model(embedder.input, logits, name=f"{model_options.trunk}_{of.name}")

    summary: list[str] = []
    model.summary(print_fn=lambda line, *_, **__: summary.append(line), expand_nested=False)
    trunk.summary(print_fn=lambda line, *_, **__: summary.append(line), expand_nested=True)
    (folder / "model_summary.txt").write_text("\n".join(summary) + "\n")

    export(
        model,
        tft.TFTransformOutput(fn_args.transform_output),
        of,
        fn_args.serving_model_dir,
        pixels_of=lambda png: from_png(png, size),
        threshold=float(config["threshold"]),
        about={
            "trunk": model_options.trunk,
            "weights": weights.to_dict(),
            "synthetic": bool(config["synthetic"]),
            "seed": options.seed,
        },
    )
    facts = {
        "trunk": model_options.trunk,
        "weights": weights.to_dict(),
        "image_size": size,
        "fit": model_options.fit,
        "pooling": model_options.pooling,
        "parameters": {
            "trainable": int(sum(np.prod(w.shape) for w in head.trainable_weights)),
            "total": int(model.count_params()),
        },
        "class_weight": {of.classes[i]: w for i, w in fitted.class_weight.items()},
        "class_counts": counts,
        "classes": list(of.classes),
        "seed": options.seed,
        "steps": len(fitted.history["loss"]) * -(-len(train.labels) // options.batch_size),
        "seconds": {
            "embed": round(train.seconds + val.seconds, 3),
            "fit": round(fit_seconds, 3),
            "all": round(time.monotonic() - started, 3),
        },
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=1))


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, float32 [channels] each.

    A feature that never changes, beyond the rounding of float32, gets 1: scaling leaves it at 0.
    """
    mean = np.asarray(features.mean(axis=0, dtype=np.float64))
    deviation = np.asarray(features.std(axis=0, dtype=np.float64))
    deviation[deviation <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)
