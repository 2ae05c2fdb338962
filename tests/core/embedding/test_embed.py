import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from core.embedding.embed import SAMPLE_IMAGES_FILE, embed_split
from core.embedding.forward import (
    BackboneForward,
    build_forward,
    compare_features,
    select_forward,
    storage_noise,
)
from core.embedding.store import read_embeddings
from core.models.backbones import TOP, split_backbone
from core.models.options import AugmentOptions
from core.training.data.transformed_images import transformed_images
from schema import features as f
from schema.labels import PATHOGENS
from tests.support.images.synthetic import gray
from tests.support.records import feature

SIZE, LAYER = 32, "block_13_expand"
COUNT = 18


@pytest.fixture(scope="module")
def forward() -> BackboneForward:
    return build_forward("MobileNetV2", SIZE, None, LAYER, "float32", seed=4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two files of transformed records."""
    folder = tmp_path_factory.mktemp("transformed")
    for part in range(2):
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(folder / f"part-{part}.gz"), options) as out:
            for i in range(COUNT // 2):
                number = COUNT // 2 * part + i
                row = {
                    f.IMAGE_PNG: feature(
                        tf.io.encode_png(gray(SIZE, SIZE, number)[..., None]).numpy()
                    ),
                    f.IMAGE_SHA256: feature(f"sha-{number}"),
                    f.IMAGE_FILENAME: feature(f"é-{number}.jpeg"),
                    f.PATIENT_ID: feature(f"person{number // 2}"),
                    f.PATHOGEN: feature(PATHOGENS[number % 4]),
                    f.IMAGE_SOURCE: feature("person"),
                    f.IMAGE_HEIGHT: feature(100 + number),
                    f.IMAGE_WIDTH: feature(200),
                    f.STATS_MEAN: feature(1.5 * number),
                }
                features = tf.train.Features(feature=row)
                out.write(tf.train.Example(features=features).SerializeToString())
    return [str(folder / "part-*")]


def images() -> np.ndarray:
    return np.stack([gray(SIZE, SIZE, seed) for seed in range(COUNT)])[..., None]


@pytest.mark.parametrize("batch", [5, 100])
def test_features_and_maps_equal_the_backbone(
    forward: BackboneForward, files: list[str], batch: int, tmp_path: Path
) -> None:
    stream = transformed_images(files, SIZE, batch)
    content = embed_split(
        stream, forward, tmp_path, "train", storage="float32", metadata={"backbone": "MobileNetV2"}
    )
    embeddings = read_embeddings(tmp_path)
    assert len(embeddings) == content["images"] == COUNT
    import keras

    keras.utils.set_random_seed(4)
    top = split_backbone("MobileNetV2", SIZE, None, TOP)[0].predict(
        images().astype(np.float32), verbose=0
    )
    expected = np.concatenate([top.mean(axis=(1, 2)), top.max(axis=(1, 2))], axis=1)
    np.testing.assert_allclose(embeddings.features[0], expected, rtol=1e-4, atol=1e-6)
    assert embeddings.maps[0].shape[0] == COUNT
    assert embeddings.maps[0].ndim == 4
    assert embeddings.records.sha256.tolist() == [f"sha-{i}" for i in range(COUNT)]
    assert embeddings.records.filename[3] == "é-3.jpeg"
    assert embeddings.records.height.tolist() == list(range(100, 100 + COUNT))
    assert embeddings.metadata == json.loads((tmp_path / "embedding.json").read_text()) == content
    assert content["storage_error"] == 0


def test_views_are_different_and_reproducible(
    forward: BackboneForward, files: list[str], tmp_path: Path
) -> None:
    stream = transformed_images(files, SIZE, 8)
    for name in ("a", "b"):
        embed_split(
            stream,
            forward,
            tmp_path / name,
            "train",
            storage="float16",
            views=2,
            augment=AugmentOptions(),
            seed=3,
        )
    a, b = read_embeddings(tmp_path / "a"), read_embeddings(tmp_path / "b")
    assert (len(a.features), len(a.maps)) == (1, 3)
    for x, y in zip((*a.features, *a.maps), (*b.features, *b.maps), strict=True):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(a.maps[0], a.maps[1])
    assert not np.array_equal(a.maps[1], a.maps[2])
    samples = np.load(tmp_path / "a" / SAMPLE_IMAGES_FILE)
    assert samples.shape == (4 * 3, SIZE, SIZE, 1)
    np.testing.assert_array_equal(samples[::3], images()[:4])


def test_views_of_features_with_a_frozen_backbone(files: list[str], tmp_path: Path) -> None:
    frozen = build_forward("MobileNetV2", SIZE, None, "top", "float32", seed=4)
    embed_split(
        transformed_images(files, SIZE, 8),
        frozen,
        tmp_path,
        "train",
        storage="float32",
        views=1,
        augment=AugmentOptions(),
    )
    embeddings = read_embeddings(tmp_path)
    assert (len(embeddings.features), len(embeddings.maps)) == (2, 0)
    assert not np.array_equal(embeddings.features[0], embeddings.features[1])


@pytest.mark.parametrize("layer", ["top", LAYER])
def test_constant_weights_change_only_rounding(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = build_forward("MobileNetV2", SIZE, None, layer, "float32", seed=4)
    monkeypatch.setattr("core.embedding.forward.MAX_FROZEN_BYTES", 0)  # no network is frozen
    variables = build_forward("MobileNetV2", SIZE, None, layer, "float32", seed=4)
    assert isinstance(variables.whole, tf.types.experimental.PolymorphicFunction)
    assert not isinstance(constants.whole, tf.types.experimental.PolymorphicFunction)
    for pixels in (images()[:3], images()[:1]):
        folded, at_layer = constants.whole(pixels)
        unfolded, plain_at_layer = variables.whole(pixels)
        np.testing.assert_allclose(folded, unfolded, rtol=1e-3, atol=1e-4 * float(np.std(unfolded)))
        assert (at_layer is None) == (plain_at_layer is None) == (layer == "top")
        if at_layer is not None and constants.below is not None:
            scale = 1e-4 * float(np.std(plain_at_layer))
            np.testing.assert_allclose(at_layer, plain_at_layer, rtol=1e-3, atol=scale)
            np.testing.assert_allclose(constants.below(pixels), at_layer, rtol=1e-3, atol=scale)


def test_empty_split_is_an_error(forward: BackboneForward, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split 'val' has no image"):
        embed_split(
            transformed_images([str(tmp_path / "none*")], SIZE, 8),
            forward,
            tmp_path,
            "val",
            storage="float16",
        )


def test_error_in_the_stream_closes_the_files(
    forward: BackboneForward, files: list[str], tmp_path: Path
) -> None:
    def still_open() -> list[Path]:
        embeddings = []
        for fd in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                embeddings.append(fd.readlink())
        return [file for file in embeddings if file.is_relative_to(tmp_path)]

    opened: list[Path] = []

    def stream() -> object:
        yield from transformed_images(files, SIZE, 8).take(1)
        opened.extend(still_open())
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="the disk went away"):
        embed_split(stream(), forward, tmp_path, "train", storage="float32", views=1)
    assert len(opened) == 3  # features, and maps of two views
    assert still_open() == []
    assert not list(tmp_path.glob("features-*.npy")) + list(tmp_path.glob("maps-*.npy"))


def test_agreement_of_bfloat16() -> None:
    sample = images()[:4]
    selected = select_forward("MobileNetV2", SIZE, None, "top", "bfloat16", sample, seed=4)
    exact = select_forward("MobileNetV2", SIZE, None, "top", "float32", sample, seed=4)
    assert selected.compute == "bfloat16"
    assert exact.agreement == {}
    a, b = exact.forward.whole(sample)[0].numpy(), selected.forward.whole(sample)[0].numpy()
    assert a.dtype == b.dtype == np.float32
    assert selected.agreement == pytest.approx(compare_features(a, b), rel=1e-3)
    assert 0.98 < selected.agreement["cosine"] < 1
    assert not np.array_equal(a, b)


def test_auto_selects_the_faster_type() -> None:
    selected = select_forward("MobileNetV2", SIZE, None, "top", "auto", images()[:4], seed=4)
    rates = selected.images_per_second
    assert set(rates) == {"float32", "bfloat16"}
    assert rates[selected.compute] == max(rates.values())


@pytest.mark.parametrize(
    ("other", "cosine", "relative"),
    [([[1.0, 0.0]], 1.0, 0.0), ([[2.0, 0.0]], 1.0, 2.0), ([[0.0, 1.0]], 0.0, 2.0)],
)
def test_compare_features(other: list[list[float]], cosine: float, relative: float) -> None:
    embeddings = compare_features(np.array([[1.0, 0.0]]), np.array(other))
    assert embeddings == pytest.approx({"cosine": cosine, "relative": relative})


@pytest.mark.parametrize(
    ("mean", "spread", "low", "high"),
    [
        (0.5, 0.3, 1e-5, 1e-3),  # a trained backbone
        (2e-4, 1e-4, 1e-5, 1e-3),
        (1.0, 1e-4, 1.0, 10.0),  # nearly constant
        (1e-9, 1e-9, 0.5, 2.0),  # below the range of float16
        (1e5, 1.0, np.inf, np.inf),
        (3.0, 0.0, 0.0, 0.0),
    ],
)
def test_storage_noise(mean: float, spread: float, low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    features = (mean + spread * rng.normal(size=(64, 20))).astype(np.float32)
    assert low <= storage_noise(features) <= high
