import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import features as f
from schema.example import KINDS, decode, encode

VALUES: dict[str, Any] = {
    f.IMAGE_ENCODED: b"\xff\xd8\x00",
    f.IMAGE_FORMAT: "jpeg",
    f.IMAGE_WIDTH: 1 << 40,
    f.STATS_MEAN: 12,
    f.BOX_YMIN: [],
    f.BOX_XMIN: [0.25, 1],
    "other": [1, -2, 3],
    "name": ["é", b"\x00"],
}
DECODED = {
    f.IMAGE_ENCODED: [b"\xff\xd8\x00"],
    f.IMAGE_FORMAT: [b"jpeg"],
    f.IMAGE_WIDTH: [1 << 40],
    f.STATS_MEAN: [12.0],
    f.BOX_YMIN: [],
    f.BOX_XMIN: [0.25, 1.0],
    "other": [1, -2, 3],
    "name": ["é".encode(), b"\x00"],
}


def test_bytes_equal_those_of_tensorflow() -> None:
    import tensorflow as tf

    theirs = tf.train.Example()
    kinds = {**KINDS, "other": "int64_list", "name": "bytes_list"}
    for name, values in DECODED.items():
        feature = getattr(theirs.features.feature[name], kinds[name])
        feature.SetInParent()
        feature.value.extend(values)
    assert encode(VALUES) == theirs.SerializeToString(deterministic=True)
    assert decode(theirs.SerializeToString()) == DECODED


def test_decode_and_order() -> None:
    assert decode(encode(VALUES)) == DECODED
    assert decode(encode({})) == {}
    assert encode(VALUES) == encode(dict(reversed(VALUES.items())))


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name not in KINDS),
        st.one_of(
            st.lists(st.binary(max_size=20), min_size=1, max_size=4),
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
            st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4),
        ),
        max_size=5,
    )
)
def test_round_trip(values: dict[str, Any]) -> None:
    assert decode(encode(values)) == values


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"unknown": []}, ValueError),
        ({f.IMAGE_HEIGHT: 1.5}, TypeError),
        ({f.IMAGE_ENCODED: 3}, TypeError),
        ({f.STATS_MEAN: "a"}, TypeError),
    ],
)
def test_invalid_values(values: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        encode(values)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\x01"])
def test_invalid_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a tf\.Example"):
        decode(data)


def test_needs_no_tensorflow() -> None:
    code = (
        "import sys; from schema.example import encode, decode; from schema.tfrecord import frame;"
        "frame(encode({'image/height': 3})); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
