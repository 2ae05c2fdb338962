"""Encodes and decodes one record (`tf.Example`) without TensorFlow, whose import takes seconds.

The messages are declared here with the field numbers of TensorFlow's example.proto and
feature.proto, in a descriptor pool of our own, so that the two never collide. Same bytes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal

from schema import features as f

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
"""Kind of each feature of the contract; other names take the kind of their first value."""


def encode(values: Mapping[str, Value | Sequence[Value]]) -> bytes:
    """Serializes one record; equal values give equal bytes.

    Args:
      values: feature name -> a value or a sequence of values. Text is stored as UTF-8. A feature
        of the contract has the kind of the contract (an int given for a float becomes a float).

    Returns:
      A serialized `tf.Example`.

    Raises:
      ValueError: an empty sequence under a name that the contract doesn't know.
      TypeError: a value that does not fit the kind of its feature.
    """
    example = _example_class()()
    for name, value in values.items():
        items = [value] if isinstance(value, bytes | str | int | float) else list(value)
        kind = KINDS.get(name) or _kind_of(name, items)
        if kind == "bytes_list":
            items = [v.encode() if isinstance(v, str) else v for v in items]
        feature = getattr(example.features.feature[name], kind)
        feature.SetInParent()
        feature.value.extend(items)
    return example.SerializeToString(deterministic=True)


def decode(serialized: bytes) -> dict[str, list[bytes] | list[int] | list[float]]:
    """Parses a record into feature name -> list of values ([] for a feature without values).

    Raises:
      ValueError: the bytes are not a `tf.Example`.
    """
    from google.protobuf.message import DecodeError

    try:
        example = _example_class().FromString(serialized)
    except DecodeError as error:
        raise ValueError(f"not a tf.Example: {error}") from None
    out: dict[str, list[bytes] | list[int] | list[float]] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        out[name] = list(getattr(feature, kind).value) if kind else []
    return out


def _kind_of(name: str, items: Sequence[Value]) -> Kind:
    if not items:
        raise ValueError(f"feature {name!r} is empty and no part of the contract: kind not known")
    first = items[0]
    if isinstance(first, bytes | str):
        return "bytes_list"
    return "float_list" if isinstance(first, float) else "int64_list"


@cache
def _example_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="pneumo/example.proto", package="pneumo", syntax="proto3"
    )
    lists = (
        ("BytesList", field.TYPE_BYTES, None),
        ("FloatList", field.TYPE_FLOAT, True),
        ("Int64List", field.TYPE_INT64, True),
    )
    for name, kind, packed in lists:
        value = file.message_type.add(name=name).field.add(
            name="value", number=1, type=kind, label=field.LABEL_REPEATED
        )
        if packed:
            value.options.packed = True
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, label) in enumerate(
        (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")), 1
    ):
        feature.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".pneumo.{label}",
            label=field.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=field.TYPE_MESSAGE,
        type_name=".pneumo.Feature",
        label=field.LABEL_OPTIONAL,
    )
    features.field.add(
        name="feature",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".pneumo.Features.FeatureEntry",
        label=field.LABEL_REPEATED,
    )
    file.message_type.add(name="Example").field.add(
        name="features",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=".pneumo.Features",
        label=field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pneumo.Example"))
