from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from core.embedding.records import ragged_boxes
from core.metrics.boxes.iou import box_iou
from core.models.backbones import TOP, split_backbone, unpack
from core.models.detector.feature_pyramid import build_feature_pyramid
from core.models.detector.head import build_dense_head
from core.models.detector.network import DetectorMember
from core.models.options import DetectorOptions
from core.training.detector.levels import FlattenedLevels, channel_moments, store_levels
from core.training.detector.train import AnnotatedImages, fit_detector, predict_boxes
from core.training.loop.checkpoint import Checkpoint
from core.training.loop.curves import OutputPaths

BACKBONE, SIZE, LAYER = "MobileNet", 64, "conv_dw_11_relu"
OPTIONS = DetectorOptions(
    levels=(LAYER,),
    channels=16,
    upsample=1,
    epochs=25,
    batch_size=16,
    learning_rate=1e-2,
    dropout=0.0,
    patience=25,
)


def draw_images(n: int, seed: int) -> AnnotatedImages:
    """Returns maps with one channel raised inside the boxes; every third image has no box."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 0.1, (n, 12, 12, 2)).astype(np.float32)
    boxes: list[list[list[float]]] = []
    for i in range(n):
        if i % 3 == 2:
            boxes.append([])
            continue
        top, left = rng.integers(0, 7, 2)
        bottom, right = top + rng.integers(3, 6), left + rng.integers(3, 6)
        maps[i, top:bottom, left:right, 0] += 1
        boxes.append([[top / 12, left / 12, bottom / 12, right / 12]])
    return AnnotatedImages((FlattenedLevels([maps, maps[:, ::2, ::2]]),), (ragged_boxes(boxes),))


def fit(
    train: AnnotatedImages,
    val: AnnotatedImages,
    seed: int = 0,
    options: DetectorOptions = OPTIONS,
    outputs: OutputPaths | None = None,
) -> tuple[DetectorMember, dict[str, list[float]]]:
    shapes = train.views[0].shapes
    result, curves = fit_detector(
        train,
        val,
        shapes,
        [channel_moments(x) for x in train.views[0].arrays],
        options,
        seed,
        outputs,
    )
    return result, curves.values


def test_boxes_are_learned() -> None:
    train, val = draw_images(96, 1), draw_images(30, 2)
    detector, curves = fit(train, val)
    assert curves["val_loss"][-1] < 0.5 * curves["val_loss"][0]
    assert set(curves) == {
        "loss",
        "heat_loss",
        "size_loss",
        "val_loss",
        "val_heat_loss",
        "val_size_loss",
        "learning_rate",
    }
    boxes, heat = predict_boxes([detector], val.views[0], 0.3, batch_size=7)
    best = [box_iou(boxes[i, :1], true).max() for i, true in enumerate(val.boxes[0]) if len(true)]
    assert np.median(best) > 0.6
    with_box = np.array([len(true) > 0 for true in val.boxes[0]])
    assert np.median(heat[with_box, 0]) > 2 * np.median(np.maximum(heat[~with_box, 0], 0))


def test_training_is_reproducible_and_resumes(tmp_path: Path) -> None:
    train, val = draw_images(24, 1), draw_images(9, 2)
    short = OPTIONS.model_copy(update={"epochs": 4, "dropout": 0.3, "schedule": "constant"})
    one, curves = fit(train, val, 3, short)
    two, again = fit(train, val, 3, short)
    other, _ = fit(train, val, 4, short)
    assert curves == again
    for a, b in zip(one.head.get_weights(), two.head.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(one.head.get_weights(), other.head.get_weights(), strict=True)
    )
    outputs = OutputPaths(tmp_path / "states", tmp_path / "logs")

    class Killed(Exception):
        pass

    calls = [0]

    class FailingView:
        """Raises in the third epoch."""

        def __init__(self, inner: FlattenedLevels) -> None:
            self.inner, self.shape, self.dtype = (
                inner,
                inner.shape,
                inner.dtype,
            )

        def __len__(self) -> int:
            return len(self.inner)

        def __getitem__(self, rows: object) -> np.ndarray:
            calls[0] += 1
            if calls[0] == 3:
                raise Killed
            return self.inner[rows]

    broken = replace(val, views=(FailingView(val.views[0]),))
    with pytest.raises(Exception, match="Killed"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "due", lambda _: True)
        fit(train, broken, 3, short, outputs)
    assert list((tmp_path / "states").iterdir())
    resumed, values = fit(train, val, 3, short, outputs)
    assert values == curves
    for a, b in zip(one.head.get_weights(), resumed.head.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    calls[0] = 0
    _, values = fit(train, broken, 3, short, outputs)
    assert (values, calls) == (curves, [0])  # a finished phase is not trained again


def test_training_without_boxes() -> None:
    empty = draw_images(9, 1)
    empty = replace(empty, boxes=(ragged_boxes([[]] * 9),))
    options = OPTIONS.model_copy(update={"epochs": 2})
    _, curves = fit(empty, empty, options=options)
    assert np.isfinite(curves["val_loss"]).all()


def test_flattened_levels() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(5, *shape)).astype(np.float32) for shape in ((4, 3, 2), (2, 2, 7))]
    inner = FlattenedLevels(arrays)
    assert inner.shape == (5, 24 + 28)
    rows = np.array([3, 0])
    parts = unpack(tf.constant(inner[rows]), inner.shapes)
    for part, array in zip(parts, arrays, strict=True):
        np.testing.assert_array_equal(part, array[rows])
    assert inner[1:3].shape == (2, 52)


@pytest.mark.parametrize("channels", [1, 3])
def test_moments_of_channels(channels: int) -> None:
    maps = np.random.default_rng(0).normal(3, 2, (40, 5, 4, channels)).astype(np.float16)
    maps[..., 0] = 7.0
    mean, deviation = channel_moments(maps)
    np.testing.assert_allclose(mean, maps.astype(float).mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(deviation[1:], maps.astype(float).std(axis=(0, 1, 2))[1:], rtol=1e-4)
    assert deviation[0] == 1


def test_pyramid_equals_the_split_backbone(tmp_path: Path) -> None:
    import keras

    pixels = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 1)).astype(np.float32)
    keras.utils.set_random_seed(1)
    pyramid = build_feature_pyramid(BACKBONE, SIZE, None, (LAYER, "default", TOP))
    result = [x.numpy() for x in pyramid.whole(pixels)]
    for level, activation in zip(pyramid.levels, result, strict=True):
        keras.utils.set_random_seed(1)
        lower, _ = split_backbone(BACKBONE, SIZE, None, level)
        np.testing.assert_allclose(lower(pixels), activation, rtol=1e-4, atol=1e-5)
    stored_views = store_levels(pyramid.above, [result[0], result[0][::-1]], tmp_path, "train")
    for array, activation in zip(stored_views[0].arrays, result, strict=True):
        np.testing.assert_allclose(array, activation, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored_views[1][:], stored_views[0][:][::-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((TOP,), "below 'top'"),
        ((TOP, LAYER), "levels must be in order"),
        (("default", LAYER), "levels must be in order"),
        (("input", TOP), "no single feature map at 'input'"),
        (("conv_99",), "cannot be split at 'conv_99'"),
    ],
)
def test_invalid_levels(levels: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_feature_pyramid(BACKBONE, SIZE, None, levels)


def test_training_the_backbone_above_the_first_level() -> None:
    rng = np.random.default_rng(0)
    pyramid = build_feature_pyramid(BACKBONE, SIZE, None, (LAYER, TOP))
    pixels = rng.integers(0, 256, (6, SIZE, SIZE, 1)).astype(np.float32)
    levels = [x.numpy() for x in pyramid.whole(pixels)]
    boxes = (ragged_boxes([[[0.2, 0.2, 0.6, 0.6]], [], [[0, 0, 0.4, 0.5]]] * 2),)
    maps = AnnotatedImages((levels[0],), boxes)
    options = OPTIONS.model_copy(update={"epochs": 2, "levels": (LAYER, TOP)})
    before = [w.copy() for w in pyramid.above.get_weights()]
    detector, _ = fit_detector(
        maps,
        maps,
        [x.shape[1:] for x in levels],
        [channel_moments(x) for x in levels],
        options,
        0,
        above=lambda: pyramid.above,
    )
    assert detector.above is not None
    after = detector.above.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    np.testing.assert_allclose(
        detector([tf.constant(x) for x in levels]), detector.training_model(levels[0]), atol=1e-5
    )


@pytest.mark.parametrize(("channels", "upsample"), [(8, 1), (20, 2)])
def test_initial_heat_of_the_head(channels: int, upsample: int) -> None:
    options = DetectorOptions(channels=channels, upsample=upsample)
    shapes = [(6, 5, 4), (3, 2, 7)]
    scaling = [(np.zeros(s[2], np.float32), np.ones(s[2], np.float32)) for s in shapes]
    head = build_dense_head(shapes, scaling, options, 0)
    levels = [np.random.default_rng(0).normal(size=(2, *s)).astype(np.float32) for s in shapes]
    outputs_of_head = head(levels).numpy()
    assert outputs_of_head.shape == (2, 6 * upsample, 5 * upsample, 5)
    heat = 1 / (1 + np.exp(-outputs_of_head[..., 0]))
    assert 0.02 < heat.mean() < 0.3
