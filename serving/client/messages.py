"""The messages of TF Serving's gRPC that the client speaks, without TensorFlow.

The modules of tensorflow-serving-api import TensorFlow: seconds and hundreds of MiB for a client
that only sends bytes. Here the same messages are described field by field, in a pool of their own
(both can live in one process). Numbers and types are those of tensorflow/core/framework/*.proto and
tensorflow_serving/apis/*.proto; a test compares the bytes. Enums are int32, alike on the wire.
"""

import math
from array import array
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

DT_FLOAT, DT_STRING, DT_INT64, DT_BOOL = 1, 7, 9, 10
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}

# Message -> fields; "*" repeated, "a -> b" a map, "|" a member of the oneof.
_TENSOR = {
    "TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "TensorShapeProto": {
        "dim": (2, "*tensorflow.TensorShapeProto.Dim"),
        "unknown_rank": (3, "bool"),
    },
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "tensorflow.TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
    },
    "TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "int32"),
        "tensor_shape": (3, "tensorflow.TensorShapeProto"),
    },
    "SignatureDef": {
        "inputs": (1, "string -> tensorflow.TensorInfo"),
        "outputs": (2, "string -> tensorflow.TensorInfo"),
        "method_name": (3, "string"),
    },
}
_SERVING = {
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "|google.protobuf.Int64Value"),
        "version_label": (4, "|string"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "inputs": (2, "string -> tensorflow.TensorProto"),
        "output_filter": (3, "*string"),
    },
    "PredictResponse": {
        "outputs": (1, "string -> tensorflow.TensorProto"),
        "model_spec": (2, "tensorflow.serving.ModelSpec"),
    },
    "GetModelMetadataRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata_field": (2, "*string"),
    },
    "SignatureDefMap": {"signature_def": (1, "string -> tensorflow.SignatureDef")},
    "GetModelMetadataResponse": {
        "model_spec": (1, "tensorflow.serving.ModelSpec"),
        "metadata": (2, "string -> google.protobuf.Any"),
    },
    "GetModelStatusRequest": {"model_spec": (1, "tensorflow.serving.ModelSpec")},
    "StatusProto": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "int32"),
        "status": (3, "tensorflow.serving.StatusProto"),
    },
    "GetModelStatusResponse": {
        "model_version_status": (1, "*tensorflow.serving.ModelVersionStatus")
    },
}
_Field = descriptor_pb2.FieldDescriptorProto


@cache
def messages() -> Any:
    """The message classes, by their short names."""
    pool = descriptor_pool.DescriptorPool()
    known = [any_pb2.DESCRIPTOR, wrappers_pb2.DESCRIPTOR]
    for file in known:
        pool.AddSerializedFile(file.serialized_pb)
    pool.Add(_file("pneumo/tensor.proto", "tensorflow", _TENSOR, []))
    imports = ["pneumo/tensor.proto", *(file.name for file in known)]
    pool.Add(_file("pneumo/serving.proto", "tensorflow.serving", _SERVING, imports))
    return SimpleNamespace(
        **{
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
            for package, table in (("tensorflow", _TENSOR), ("tensorflow.serving", _SERVING))
            for name in table
            if "." not in name
        }
    )


def _file(
    name: str, package: str, table: dict[str, dict[str, tuple[int, str]]], imports: Sequence[str]
) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=name, package=package, syntax="proto3", dependency=imports
    )
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for path in sorted(table, key=lambda path: path.count(".")):
        outer, _, short = path.rpartition(".")
        message = (made[outer].nested_type if outer else file.message_type).add(name=short)
        made[path] = message
        for field, (number, kind) in table[path].items():
            _add_field(message, f"{package}.{path}", field, number, kind)
    return file


def _add_field(
    message: descriptor_pb2.DescriptorProto, full_name: str, name: str, number: int, kind: str
) -> None:
    key, arrow, value = kind.partition(" -> ")
    if arrow:
        # On the wire a map is a repeated message of a key and a value.
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, full_name, "key", 1, key)
        _add_field(entry, full_name, "value", 2, value)
        kind = f"*{full_name}.{entry.name}"
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if kind[0] == "*" else _Field.LABEL_OPTIONAL
    if kind[0] == "|":
        if not message.oneof_decl:
            message.oneof_decl.add(name="version_choice")
        field.oneof_index = 0
    kind = kind.lstrip("*|")
    if "." in kind:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{kind}"
    else:
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")


def strings(values: Sequence[bytes]) -> Any:
    """A TensorProto of strings, [n]."""
    kinds = messages()
    shape = kinds.TensorShapeProto(dim=[{"size": len(values)}])
    return kinds.TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=values)


def to_list(tensor: Any) -> list[Any]:
    """Values of a TensorProto of rank 1 or more, nested as its shape says; strings as str.

    Raises:
      ValueError: a type that no signature of this project has, or too few values.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if not shape:
        raise ValueError("a scalar where rows were expected")
    return _nest(_flat(tensor, math.prod(shape)), shape)


def _flat(tensor: Any, size: int) -> list[Any]:
    content: bytes = tensor.tensor_content
    flat: list[Any]
    if tensor.dtype == DT_STRING:
        flat = [value.decode("utf-8", "replace") for value in tensor.string_val]
    elif tensor.dtype == DT_FLOAT:
        flat = _little_endian("f", content) if content else list(tensor.float_val)
    elif tensor.dtype == DT_INT64:
        flat = _little_endian("q", content) if content else list(tensor.int64_val)
    elif tensor.dtype == DT_BOOL:
        flat = [bool(value) for value in content or tensor.bool_val]
    else:
        raise ValueError(f"values of type {tensor.dtype}")
    # A tensor may leave out repetitions of its last value.
    if flat and len(flat) < size:
        flat += flat[-1:] * (size - len(flat))
    if len(flat) != size:
        raise ValueError(f"{len(flat)} values in a tensor of {size}")
    return flat


def _little_endian(code: str, content: bytes) -> list[Any]:
    import sys

    values = array(code)
    values.frombytes(content)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def _nest(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) == 1:
        return flat
    step = math.prod(shape[1:])
    return [_nest(flat[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
