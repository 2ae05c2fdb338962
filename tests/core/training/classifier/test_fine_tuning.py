from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.models.head import build_head, pool
from core.models.options import ModelOptions
from core.training.classifier.fine_tuning import BackboneConfig, fine_tune
from core.training.data.mixing import mix_batch
from core.training.data.targets import class_targets
from core.training.loop.batches import LabeledRows, TrainingData, data_from_rows
from core.training.loop.curves import OutputPaths
from core.training.options import FineTuneOptions, TrainingOptions
from schema.labels import BINARY

BACKBONE = BackboneConfig("MobileNet", 32, None, "conv_pw_12_relu", seed=1)
LABELS = class_targets(np.array(["bacteria", "normal"] * 12), BINARY)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Returns images, every other one with a bright square; uint8 [24, 64, 64, 1]."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (24, 64, 64, 1))
    images[::2, 16:48, 16:48] += 120
    return images.astype(np.uint8)


def rows(x: np.ndarray) -> LabeledRows:
    return LabeledRows((x,), LABELS, np.ones(24, np.float32), np.arange(24))


def head() -> keras.Model:
    rng = np.random.default_rng(3)
    mean, deviation = np.zeros(1024, np.float32), np.full(1024, 0.01, np.float32)
    model = build_head(mean, deviation, 2, ModelOptions(dropout=0.2))
    model.compile(loss=lambda targets, outputs: targets - outputs)  # as after the first phase
    model.layers[-1].kernel.assign(rng.normal(size=(1024, 2)) * 0.01)
    return model


def outputs(folder: Path) -> OutputPaths:
    return OutputPaths(folder / "states", folder / "logs")


def loss_of(upper: keras.Model, top: keras.Model, maps: np.ndarray) -> float:
    logits = top(pool(upper(maps, training=False), "avg"), training=False).numpy()
    return float(-(LABELS * tf.nn.log_softmax(logits).numpy()).sum(1).mean())


@pytest.mark.parametrize(
    ("source", "compute", "head_rate"),
    [("cache", "float32", 1e-9), ("images", "float32", None), ("cache", "bfloat16", None)],
)
def test_trains_above_the_layer_only(
    pixels: np.ndarray, tmp_path: Path, source: str, compute: str, head_rate: float | None
) -> None:
    small = pixels[:, ::2, ::2]
    lower, upper = BACKBONE.split()
    assert upper is not None
    below, above = lower.get_weights(), upper.get_weights()
    maps = lower.predict(small.astype(np.float32), verbose=0)
    data = rows(maps if source == "cache" else small)
    options = FineTuneOptions(
        source=source,
        epochs=3,
        batch_size=8,
        learning_rate=1e-3,
        compute=compute,
        head_learning_rate=head_rate,
    )
    start = head()
    tuned, top, curves = fine_tune(
        BACKBONE,
        start,
        data_from_rows(data, data, 0, 8),
        "avg",
        options,
        TrainingOptions(),
        0,
        outputs(tmp_path),
    )
    assert len(curves) == 3
    assert set(curves.values) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    again, _ = BACKBONE.split()
    for a, b in zip(below, again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    changed = {
        path.rsplit("/", 1)[-1]
        for path, a, b in zip(
            [w.path for w in tuned.weights], above, tuned.get_weights(), strict=True
        )
        if not np.array_equal(a, b)
    }
    assert {"kernel", "gamma", "beta"} >= changed >= {"kernel"}
    assert not {"moving_mean", "moving_variance"} & changed  # frozen batch norm
    change = np.abs(top.get_weights()[0] - start.get_weights()[0]).max()
    assert (change < 1e-6) == (head_rate is not None)
    assert loss_of(tuned, top, maps) == pytest.approx(
        min(curves.values["val_loss"]), rel=1e-3 if compute == "float32" else 0.05
    )
    assert {layer.compute_dtype for layer in tuned.layers} == {"float32"}


def test_trains_on_small_views_and_validates_at_full_size(
    pixels: np.ndarray, tmp_path: Path
) -> None:
    views = data_from_rows(rows(pixels[:, ::2, ::2]), rows(pixels[:, ::2, ::2]), 0, 8)
    data: TrainingData = replace(
        views, validation=data_from_rows(rows(pixels), rows(pixels), 0, 8).validation
    )
    backbone = replace(BACKBONE, size=64)
    options = FineTuneOptions(
        source="images", view_size=32, epochs=2, batch_size=8, learning_rate=1e-3, average=0.5
    )
    tuned, top, curves = fine_tune(
        backbone, head(), data, "avg", options, TrainingOptions(), 0, outputs(tmp_path)
    )
    lower, before = backbone.split()
    assert before is not None
    assert tuned.input_shape == before.input_shape
    pairs = zip(before.get_weights(), tuned.get_weights(), strict=True)
    assert any(not np.array_equal(a, b) for a, b in pairs)
    maps = lower.predict(pixels.astype(np.float32), verbose=0)
    assert loss_of(tuned, top, maps) == pytest.approx(min(curves.values["val_loss"]), rel=1e-3)


def test_trains_on_mixed_images(pixels: np.ndarray, tmp_path: Path) -> None:
    small = rows(pixels[:, ::2, ::2])
    plain = data_from_rows(small, small, 0, 8)

    def mix(*batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return mix_batch(*batch, tf.constant([0, 1]), mixup=1.0, cutmix=1.0)

    data = replace(plain, epochs=lambda first, end: plain.epochs(first, end).map(mix))
    options = FineTuneOptions(source="images", epochs=2, batch_size=8, learning_rate=1e-3)
    _, _, curves = fine_tune(
        BACKBONE, head(), data, "avg", options, TrainingOptions(), 0, outputs(tmp_path)
    )
    assert np.isfinite(curves.values["loss"]).all()
    assert all(0 <= value <= 1 for value in curves.values["accuracy"])


def test_top_layer_is_rejected(tmp_path: Path) -> None:
    backbone = replace(BACKBONE, layer="top")
    data = rows(np.ones((24, 2), np.float32))
    with pytest.raises(ValueError, match="no layers above"):
        fine_tune(
            backbone,
            head(),
            data_from_rows(data, data, 0, 2),
            "avg",
            FineTuneOptions(),
            TrainingOptions(),
            0,
            outputs(tmp_path),
        )
