from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.models.views import View
from core.training.data.image_training_data import copy_records
from core.training.data.transformed_images import transformed_images
from core.training.ensemble_predictions import predict_ensemble
from tests.support.models.image_job import SIZE, VAL, write_records


@pytest.mark.parametrize("batch", [4, 32])
def test_a_network_with_views_predicts_from_images(tmp_path: Path, batch: int) -> None:
    write_records(tmp_path)
    files = [str(tmp_path / "val" / "*.gz")]

    class Network(SimpleNamespace):
        def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
            assert pixels.dtype == tf.float32
            mean = tf.reduce_mean(pixels, [1, 2, 3]) / 255
            return tf.stack([mean, -mean], axis=1)[:, tf.newaxis]

    network: Any = Network(views=(View(),), size=SIZE)
    images = copy_records(files, tmp_path / "val.images")
    split: Any = range(VAL)
    predictions = predict_ensemble(network, split, batch, images=images)
    pixels = np.concatenate([x.numpy() for x, _ in transformed_images(files, SIZE, 64)])
    expected = network(tf.constant(pixels, tf.float32))
    np.testing.assert_allclose(predictions.logits, expected, atol=1e-6)
    np.testing.assert_allclose(predictions.probabilities, tf.nn.softmax(expected), atol=1e-6)
