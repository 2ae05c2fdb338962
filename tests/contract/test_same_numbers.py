"""The endpoint's answers are the SavedModel's own, called in this process."""

from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from tests.contract.test_grpc import apis, asked
from tests.server import Server, ask


@pytest.fixture(scope="package")
def signature(request: pytest.FixtureRequest, given: bool) -> Any:
    if given:
        pytest.skip("the model of a given endpoint is not here")
    import tensorflow as tf

    folder: Path = request.getfixturevalue("small_model")
    loaded = tf.saved_model.load(str(folder / "1"))
    return loaded, loaded.signatures["serving_default"]


@pytest.mark.parametrize("n", [1, 3, 4])
def test_equal_to_the_last_bit(
    signature: Any, web: httpx.Client, channel: grpc.Channel, server: Server,
    images: list[bytes], n: int,
) -> None:  # fmt: skip
    import tensorflow as tf

    batch = images[:n]
    expected = {k: v.numpy() for k, v in signature[1](image_bytes=tf.constant(batch)).items()}
    answer = apis().prediction_service(channel).Predict(asked(server, batch), timeout=120)
    assert set(answer.outputs) == set(expected)
    for name, proto in answer.outputs.items():
        got = tf.make_ndarray(proto)
        assert got.dtype == expected[name].dtype
        np.testing.assert_array_equal(got, expected[name], err_msg=name)
    by_rest = ask(server, batch, web)
    for name in ("probabilities", "score"):
        parsed = np.array([row[name] for row in by_rest]).astype(np.float32)
        np.testing.assert_array_equal(parsed, expected[name], err_msg=name)
