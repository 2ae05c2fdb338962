"""The endpoint's answers are the SavedModel's own, called in this process."""

from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from tests.support.serving.server import Server, predict_over_grpc, request, rows


@pytest.fixture(scope="package")
def signatures(small_model: Path, given: bool) -> Any:
    if given:
        pytest.skip("the model of a given endpoint is not here")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(small_model / "1"))
    return loaded, loaded.signatures  # the first keeps the second alive


OUTPUTS = {
    "serving_default": ("probabilities", "score"),
    "explain": (
        "probabilities",
        "score",
        "heatmap",
        "boxes",
        "box_scores",
        "image_height",
        "image_width",
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("n", [1, 4])
def test_equal_to_the_last_bit(
    signatures: Any,
    web: httpx.Client,
    channel: grpc.Channel,
    server: Server,
    images: list[bytes],
    n: int,
    name: str,
) -> None:
    import tensorflow as tf

    batch = images[:n]
    found = signatures[1][name](image_bytes=tf.constant(batch))
    expected = {output: values.numpy() for output, values in found.items()}
    answer = predict_over_grpc(channel, request(server.name, batch, name))
    assert set(answer.outputs) == set(expected) >= set(OUTPUTS[name])
    for output, proto in answer.outputs.items():
        got = tf.make_ndarray(proto)
        assert got.dtype == expected[output].dtype
        np.testing.assert_array_equal(got, expected[output], err_msg=output)
    response = web.post(f"{server.model}:predict", json={"signature_name": name, **rows(batch)})
    assert response.status_code == 200, response.text
    by_rest = response.json()["predictions"]
    for output in OUTPUTS[name]:
        parsed = np.array([row[output] for row in by_rest]).astype(expected[output].dtype)
        np.testing.assert_array_equal(parsed, expected[output], err_msg=output)
