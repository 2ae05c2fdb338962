"""One epoch of fine-tuning from cached activations or from images."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.training_setup import BACKBONE, BATCH, SIDE, embed, train_head


def measure_epoch(folder: Path, source: str, compute: str = "float32") -> dict[str, Any]:
    """Measures an epoch of fine-tuning above the default layer of the backbone."""
    from core.embedding.store import read_embeddings
    from core.metrics.options import EvaluationOptions
    from core.models.backbone_weights import BackboneWeights
    from core.models.backbones import resolve_layer
    from core.models.options import ModelOptions
    from core.training.classifier.fine_tuning import BackboneConfig, fine_tune
    from core.training.data.image_training_data import copy_records, image_training_data
    from core.training.data.targets import labeled_rows
    from core.training.job import Job
    from core.training.loop import callbacks
    from core.training.loop.batches import data_from_rows
    from core.training.loop.compute_dtype import bfloat16_is_native
    from core.training.loop.curves import OutputPaths
    from core.training.options import FineTuneOptions, TrainingOptions
    from schema.labels import BINARY

    layer = resolve_layer(BACKBONE, "default")
    embed_s = embed(folder, layer) if source == "cache" else 0.0
    # A first head, which is not measured.
    head, _ = train_head(folder, "top", 1)
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

    def timed_epoch_end(self: Any, epoch: int, logs: dict[str, Any]) -> None:
        record(self, epoch, logs)
        ends.append(time.monotonic())

    outputs = OutputPaths(folder / "states" / source / compute, folder / "logs")
    backbone = BackboneConfig(BACKBONE, SIDE, None, layer, 0)
    with patch.object(callbacks.CurveRecorder, "on_epoch_end", timed_epoch_end):
        fine_tune(backbone, head, data, "avg", options, training, 0, outputs)
    # The second epoch, because the first includes tracing.
    details = {"from": layer, "native_bfloat16": bfloat16_is_native()}
    return {"epoch_s": ends[1] - ends[0], "embed_s": embed_s, **details}
