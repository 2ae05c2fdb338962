"""TF Serving's JSON <-> arrays. Pure.

Requests are read as TF Serving does: row format (`instances`) or column format (`inputs`), binary
values as {"b64": ...}, a signature of one input may leave out its name. Strings in answers are
UTF-8 text, or {"b64": ...} where the output's name ends in `_bytes`.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from serving.server.errors import Code, ServeError

# A batch of one input: bytes for strings, else numbers.
Column = list[bytes] | np.ndarray


@dataclass(frozen=True)
class Spec:
    """One input of a signature.

    Attributes:
      dtype: TensorFlow's name of it, such as "string" or "float32".
      shape: -1 where free.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """What a body asks for.

    Attributes:
      signature: name of it.
      inputs: input -> values as JSON has them, one for each row.
      rows: as many as there are.
      by_row: the answer is to be in row format.
    """

    signature: str
    inputs: dict[str, list[Any]]
    rows: int
    by_row: bool


def bad(message: str) -> ServeError:
    """An INVALID_ARGUMENT."""
    return ServeError(Code.INVALID_ARGUMENT, message)


def read_request(body: bytes, inputs_of: Mapping[str, Mapping[str, Spec]]) -> Request:
    """Reads a predict request.

    Args:
      body: JSON.
      inputs_of: signature -> its inputs.

    Raises:
      ServeError: INVALID_ARGUMENT, with what is wrong.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad(f"JSON Parse error: {error}") from None
    if not isinstance(asked, dict):
        raise bad("JSON Value: the request must be an object")
    signature = asked.get("signature_name", "serving_default")
    if not isinstance(signature, str):
        raise bad("'signature_name' key must be a string value.")
    signature = signature or "serving_default"
    inputs = signature_of(signature, inputs_of)
    if ("instances" in asked) == ("inputs" in asked):
        both = "inputs" in asked
        raise bad(
            "expecting 'instances' or 'inputs', not both"
            if both
            else "Missing 'inputs' or 'instances' key"
        )
    by_row = "instances" in asked
    columns = (_rows if by_row else _columns)(asked["instances" if by_row else "inputs"], inputs)
    counts = {len(values) for values in columns.values()}
    if len(counts) != 1:
        raise bad(f"the inputs have different numbers of rows: {sorted(counts)}")
    (rows,) = counts
    if not rows:
        raise bad(f"'{'instances' if by_row else 'inputs'}' is empty; give at least one")
    return Request(signature, columns, rows, by_row)


def signature_of(name: str, inputs_of: Mapping[str, Mapping[str, Spec]]) -> Mapping[str, Spec]:
    """Inputs of a signature.

    Raises:
      ServeError: INVALID_ARGUMENT, there is none of that name.
    """
    if name not in inputs_of:
        known = ", ".join(sorted(inputs_of))
        raise bad(f'Serving signature key "{name[:100]}" not found. There are: {known}')
    return inputs_of[name]


def _rows(instances: Any, inputs: Mapping[str, Spec]) -> dict[str, list[Any]]:
    if not isinstance(instances, list):
        raise bad("Expecting 'instances' value to be a list/array")
    columns: dict[str, list[Any]] = {name: [] for name in inputs}
    for i, row in enumerate(instances):
        named = isinstance(row, dict) and set(row) != {"b64"}
        if not named:
            if len(inputs) != 1:
                raise bad(f"instance {i} must be an object with keys: {', '.join(sorted(inputs))}")
            next(iter(columns.values())).append(row)
            continue
        if set(row) != set(inputs):
            raise bad(
                f"Failed to process element: {i} of 'instances' list. It has the keys "
                f"{sorted(row)}, the signature has {sorted(inputs)}"[:500]
            )
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _columns(values: Any, inputs: Mapping[str, Spec]) -> dict[str, list[Any]]:
    if not isinstance(values, dict) or set(values) == {"b64"}:
        if len(inputs) != 1:
            raise bad(f"'inputs' must be an object with keys: {', '.join(sorted(inputs))}")
        values = {next(iter(inputs)): values}
    if set(values) != set(inputs):
        raise bad(
            f"'inputs' has the keys {sorted(values)}, the signature has {sorted(inputs)}"[:500]
        )
    for name, column in values.items():
        if not isinstance(column, list):
            raise bad(f"'inputs' of {name} must be a list, with one value for each row")
    return dict(values)


def to_columns(request: Request, inputs: Mapping[str, Spec]) -> dict[str, Column]:
    """Values of JSON -> what the model takes.

    Raises:
      ServeError: INVALID_ARGUMENT, naming the element that does not fit.
    """
    return {name: _column(name, values, inputs[name]) for name, values in request.inputs.items()}


def read(
    body: bytes, inputs_of: Mapping[str, Mapping[str, Spec]]
) -> tuple[Request, dict[str, Column]]:
    """`read_request` and `to_columns`."""
    request = read_request(body, inputs_of)
    return request, to_columns(request, inputs_of[request.signature])


def _column(name: str, values: Sequence[Any], spec: Spec) -> Column:
    if spec.dtype == "string":
        if len(spec.shape) != 1:
            raise ServeError(Code.UNIMPLEMENTED, f"input {name} is not a list of strings")
        return [_string(i, value) for i, value in enumerate(values)]
    return numbers(name, values, spec)


def numbers(name: str, values: Any, spec: Spec) -> np.ndarray:
    """Numbers of a signature's type and shape.

    Raises:
      ServeError: INVALID_ARGUMENT.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biuf":
            raise bad(f"input {name} takes {spec.dtype}")
        array = given.astype(spec.dtype, casting="same_kind")
    except (TypeError, ValueError):
        raise bad(f"input {name} takes {spec.dtype} of shape {list(spec.shape)}") from None
    if array.ndim != len(spec.shape) or any(
        want not in (-1, got) for want, got in zip(spec.shape, array.shape, strict=True)
    ):
        raise bad(f"input {name} takes shape {list(spec.shape)}, not {list(array.shape)}")
    return array


def _string(i: int, value: Any) -> bytes:
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise bad(f"Failed to process element: {i}. Unable to base64 decode") from None
    if isinstance(value, str):
        return value.encode()
    kinds = {bool: "Bool", int: "Number", float: "Number", list: "Array", dict: "Object"}
    kind = kinds.get(type(value), "Null")
    raise bad(f"Failed to process element: {i}. JSON Value of type {kind} is not of type string")


def write_answer(outputs: Mapping[str, Column], by_row: bool) -> bytes:
    """The body of an answer.

    float32 are written with the fewest digits that read back as the same float32.
    """
    plain = {name: _plain(name, values) for name, values in outputs.items()}
    if not by_row:
        return to_json({"outputs": plain if len(plain) != 1 else next(iter(plain.values()))})
    if len(plain) == 1:
        return to_json({"predictions": next(iter(plain.values()))})
    rows = zip(*plain.values(), strict=True)
    return to_json({"predictions": [dict(zip(plain, row, strict=True)) for row in rows]})


def _plain(name: str, values: Any) -> Any:
    """Rows of an output, as orjson can write them."""
    if isinstance(values, np.ndarray):
        return list(values)
    as_bytes = name.endswith("_bytes")

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(part) for part in value]
        if as_bytes:
            return {"b64": base64.b64encode(value).decode()}
        return value.decode(errors="replace")

    return [text(value) for value in values]


def to_json(value: Any) -> bytes:
    """JSON; arrays of numpy may be in it."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def error_body(message: str) -> bytes:
    """{"error": message}"""
    return orjson.dumps({"error": message})
