import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import features as f
from schema.example import KINDS, decode, encode

VALUES = {
    f.IMAGE_ENCODED: b"\xff\xd8\x00",
    f.IMAGE_FORMAT: "jpeg",
    f.IMAGE_HEIGHT: 224,
    f.IMAGE_WIDTH: 1 << 40,
    f.STATS_MEAN: 12,
    f.STATS_STD: 0.5,
    f.BOX_YMIN: [],
    f.BOX_XMIN: [0.25, 1],
    "other": [1, -2, 3],
    "name": ["é", b"\x00"],
}


def _as_tensorflow(values):
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        kind = KINDS.get(name) or (
            "bytes_list" if isinstance(items[0], bytes | str) else "int64_list"
        )
        part = getattr(example.features.feature[name], kind)
        part.SetInParent()
        part.value.extend([v.encode() if isinstance(v, str) else v for v in items])
    return example


def test_same_bytes_and_same_meaning_as_tensorflow():
    import tensorflow as tf

    theirs = _as_tensorflow(VALUES)
    ours = encode(VALUES)
    assert tf.train.Example.FromString(ours) == theirs
    assert ours == theirs.SerializeToString(deterministic=True)
    assert decode(theirs.SerializeToString()) == decode(ours)
    parsed = tf.io.parse_single_example(
        ours,
        {
            f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string),
            f.IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64),
            f.STATS_MEAN: tf.io.FixedLenFeature([], tf.float32),
            f.BOX_YMIN: tf.io.VarLenFeature(tf.float32),
            f.BOX_XMIN: tf.io.VarLenFeature(tf.float32),
        },
    )
    assert parsed[f.IMAGE_ENCODED].numpy() == b"\xff\xd8\x00"
    assert parsed[f.IMAGE_HEIGHT].numpy() == 224
    assert parsed[f.STATS_MEAN].numpy() == 12.0
    assert parsed[f.BOX_YMIN].values.shape == (0,)
    assert parsed[f.BOX_XMIN].values.numpy().tolist() == [0.25, 1.0]


def test_decode_gives_lists():
    assert decode(encode(VALUES))[f.STATS_MEAN] == [12.0]
    assert decode(encode(VALUES))[f.BOX_YMIN] == []
    assert decode(encode(VALUES))["name"] == ["é".encode(), b"\x00"]
    assert decode(encode({})) == {}


def test_order_of_the_values_does_not_matter():
    assert encode(VALUES) == encode(dict(reversed(VALUES.items())))


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(
            st.lists(st.binary(max_size=20), min_size=1, max_size=4),
            st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
            st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4),
        ),
        max_size=5,
    ).filter(lambda d: not set(d) & set(KINDS))
)
def test_round_trip(values):
    assert decode(encode(values)) == values


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nobody": []}, ValueError),
        ({f.IMAGE_HEIGHT: 1.5}, TypeError),
        ({f.IMAGE_ENCODED: 3}, TypeError),
        ({f.STATS_MEAN: "a"}, TypeError),
    ],
)
def test_wrong_values_are_refused(values, error):
    with pytest.raises(error):
        encode(values)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\x01"])
def test_bytes_that_are_no_example(data):
    with pytest.raises(ValueError, match=r"not a tf\.Example"):
        decode(data)


def test_needs_no_tensorflow():
    code = (
        "import sys; from schema.example import encode, decode; from schema.tfrecord import frame;"
        "frame(encode({'image/height': 3})); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
