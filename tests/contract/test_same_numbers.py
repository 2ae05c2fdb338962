"""The endpoint's answers are the SavedModel's own, called in this process."""

from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from tests.contract.messages import apis, asked
from tests.support.server import Server, rows


@pytest.fixture(scope="package")
def signature(request: pytest.FixtureRequest, given: bool) -> Any:
    if given:
        pytest.skip("the model of a given endpoint is not here")
    import tensorflow as tf

    folder: Path = request.getfixturevalue("small_model")
    loaded = tf.saved_model.load(str(folder / "1"))
    return loaded, loaded.signatures


OUTPUTS = {
    "serving_default": ("probabilities", "score"),
    "explain": ("probabilities", "score", "heatmap", "boxes", "box_scores", "image_height",
                "image_width"),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("n", [1, 3, 4])
def test_equal_to_the_last_bit(
    signature: Any, web: httpx.Client, channel: grpc.Channel, server: Server,
    images: list[bytes], n: int, name: str,
) -> None:  # fmt: skip
    import tensorflow as tf

    batch = images[:n]
    found = signature[1][name](image_bytes=tf.constant(batch))
    expected = {output: values.numpy() for output, values in found.items()}
    message = asked(server, batch, signature=name)
    answer = apis().prediction_service(channel).Predict(message, timeout=120)
    assert set(answer.outputs) == set(expected) >= set(OUTPUTS[name])
    for output, proto in answer.outputs.items():
        got = tf.make_ndarray(proto)
        assert got.dtype == expected[output].dtype
        np.testing.assert_array_equal(got, expected[output], err_msg=output)
    told = web.post(f"{server.model}:predict", json={"signature_name": name, **rows(batch)})
    assert told.status_code == 200, told.text
    by_rest = told.json()["predictions"]
    for output in OUTPUTS[name]:
        parsed = np.array([row[output] for row in by_rest]).astype(expected[output].dtype)
        np.testing.assert_array_equal(parsed, expected[output], err_msg=output)
