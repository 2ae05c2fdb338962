from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data import transformed_images
from components.trainer.embed import embed, forward_of
from components.trainer.head import pool
from schema import features as f
from tests.images import gray
from tests.records import feature


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((24, 24, 1))
    return keras.Model(pixels, pool(keras.layers.Conv2D(5, 3)(pixels), "avg"))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files of transformed records; every third one has no label in the task."""
    paths = []
    for part in range(2):
        paths.append(str(tmp_path / f"part-{part}.gz"))
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(paths[-1], options) as out:
            for i in range(9):
                png = tf.io.encode_png(gray(24, 24, 9 * part + i)[..., None]).numpy()
                row = {f.IMAGE_PNG: feature(png), f.LABEL: feature((i % 3) - 1)}
                features = tf.train.Features(feature=row)
                out.write(tf.train.Example(features=features).SerializeToString())
    return [str(tmp_path / "part-*")]


@pytest.mark.parametrize("batch", [1, 5, 100])
def test_features_are_those_of_the_model_in_order(
    model: keras.Model, files: list[str], batch: int, tmp_path: Path
) -> None:
    told: list[int] = []
    found = embed(
        transformed_images(files, 24, batch),
        forward_of(model),
        tmp_path / "features",
        lambda _, done: told.append(done),
        "train",
    )
    kept = [9 * part + i for part in range(2) for i in range(9) if i % 3]
    images = np.stack([gray(24, 24, seed) for seed in kept])[..., None].astype(np.float32)
    np.testing.assert_allclose(found.features, model.predict(images, verbose=0), rtol=1e-4)
    assert found.features.dtype == np.float32
    assert found.labels.tolist() == [0, 1] * 6
    assert told[-1] == len(kept)
    assert isinstance(found.features, np.memmap)


def test_nothing_to_embed_is_an_error(model: keras.Model, tmp_path: Path) -> None:
    empty = tf.data.Dataset.from_tensor_slices(
        (np.zeros((0, 24, 24, 1), np.uint8), np.zeros(0, np.int64))
    ).batch(4)
    with pytest.raises(ValueError, match="'val' has no labelled image"):
        embed(empty, forward_of(model), tmp_path / "features", lambda *_: None, "val")
