"""Encodes and decodes records (`tf.train.Example`) without importing TensorFlow."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from google.protobuf.message import DecodeError

from schema import features as f
from schema.example_pb2 import Example

Value = bytes | str | int | float
Kind = Literal["bytes_list", "float_list", "int64_list"]

_FLOATS = (
    *(f.BOX_YMIN, f.BOX_XMIN, f.BOX_YMAX, f.BOX_XMAX),
    *(f.STATS_MEAN, f.STATS_STD, f.STATS_P01, f.STATS_P99, f.STATS_ENTROPY, f.STATS_ASPECT),
)
_INTS = (f.IMAGE_HEIGHT, f.IMAGE_WIDTH)
_BYTES = (
    *(f.IMAGE_ENCODED, f.IMAGE_FORMAT, f.IMAGE_SHA256, f.IMAGE_FILENAME, f.IMAGE_SOURCE),
    *(f.PATIENT_ID, f.PATHOGEN),
)

KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(_FLOATS, "float_list"),
    **dict.fromkeys(_INTS, "int64_list"),
    **dict.fromkeys(_BYTES, "bytes_list"),
}
"""Kind of each feature in the schema; the kind of other features follows their first value."""


def encode(values: Mapping[str, Value | Sequence[Value]]) -> bytes:
    """Serializes one record; equal values give equal bytes.

    Args:
      values: feature name -> a value or a sequence of values. Text is stored as UTF-8. A feature
        in the schema has the kind of the schema (an int for a float feature becomes a float).

    Raises:
      ValueError: an empty sequence for a feature that is not in the schema.
      TypeError: a value that does not fit the kind of its feature.
    """
    example = Example()
    for name, value in values.items():
        items = [value] if isinstance(value, bytes | str | int | float) else list(value)
        kind = KINDS.get(name) or _kind_of(name, items)
        if kind == "bytes_list":
            items = [item.encode() if isinstance(item, str) else item for item in items]
        feature = getattr(example.features.feature[name], kind)
        feature.SetInParent()
        feature.value.extend(items)
    return example.SerializeToString(deterministic=True)


def decode(serialized: bytes) -> dict[str, list[bytes] | list[int] | list[float]]:
    """Parses a record into feature name -> list of values ([] for a feature without values).

    Raises:
      ValueError: the bytes are not a `tf.train.Example`.
    """
    try:
        features = Example.FromString(serialized).features.feature
    except DecodeError as error:
        raise ValueError(f"not a tf.Example: {error}") from None
    kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
    return {
        name: list(getattr(features[name], kind).value) if kind else []
        for name, kind in kinds.items()
    }


def _kind_of(name: str, items: Sequence[Value]) -> Kind:
    if not items:
        raise ValueError(f"feature {name!r} is empty and not in the schema: its kind is unknown")
    if isinstance(items[0], bytes | str):
        return "bytes_list"
    return "float_list" if isinstance(items[0], float) else "int64_list"
