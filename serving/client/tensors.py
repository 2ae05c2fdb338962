"""Conversion of TensorProto messages to and from Python values, without TensorFlow."""

import math
import sys
from array import array
from collections.abc import Sequence
from typing import Any, Final

from serving.client import tf_serving_pb2 as pb

# dtype -> field of the values, `array` type code of packed values.
_FIELDS: Final = {
    pb.DT_STRING: ("string_val", ""),
    pb.DT_FLOAT: ("float_val", "f"),
    pb.DT_INT64: ("int64_val", "q"),
    pb.DT_BOOL: ("bool_val", "b"),
}


def string_tensor(values: Sequence[bytes]) -> pb.TensorProto:
    """Returns a tensor of strings of shape (n,)."""
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=len(values))])
    return pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape, string_val=values)


def to_list(tensor: pb.TensorProto) -> list[Any]:
    """Returns the values of a tensor of rank 1 or more as nested lists; strings as str.

    Raises:
      ValueError: a scalar, an unsupported dtype, or a wrong number of values.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if not shape:
        raise ValueError("expected rows, not a scalar")
    if tensor.dtype not in _FIELDS:
        raise ValueError(f"unsupported dtype {tensor.dtype}")
    field, code = _FIELDS[tensor.dtype]
    values = list(getattr(tensor, field))
    if code and tensor.tensor_content:
        packed = array(code)
        packed.frombytes(tensor.tensor_content)
        if sys.byteorder == "big":
            packed.byteswap()
        values = packed.tolist()
    if tensor.dtype == pb.DT_STRING:
        values = [value.decode("utf-8", "replace") for value in values]
    elif tensor.dtype == pb.DT_BOOL:
        values = list(map(bool, values))
    size = math.prod(shape)
    if values and len(values) < size:  # repetitions of the last value may be omitted
        values += values[-1:] * (size - len(values))
    if len(values) != size:
        raise ValueError(f"{len(values)} values in a tensor of size {size}")
    for axis in range(len(shape) - 1, 0, -1):
        rows, length = math.prod(shape[:axis]), shape[axis]
        values = [values[i * length : (i + 1) * length] for i in range(rows)]
    return values
