"""JSON format of TensorFlow Serving: parses predict requests and encodes responses.

Requests have the row format (`instances`) or the column format (`inputs`). Binary values are
{"b64": ...}, with the base64 that TensorFlow Serving takes (Abseil's Base64Unescape): the standard
alphabet, white space anywhere, padding or none. The name of the input may be omitted. Strings in
responses are UTF-8 text, or {"b64": ...} if the name of the output ends in `_bytes`.
"""

import base64
import codecs
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from serving.server.errors import invalid

_URL_SAFE = str.maketrans("-_", "+/")
_SMALLEST_IMAGE = 48  # bytes; a smaller text is passed to the model, which rejects it


def parse(body: bytes, signatures: Mapping[str, str]) -> tuple[str, list[bytes], bool]:
    """Parses a predict request.

    Args:
      body: JSON.
      signatures: signature -> name of its input.

    Returns:
      The signature, one byte string per row, and whether the request has the row format.

    Raises:
      ServeError: INVALID_ARGUMENT, with the reason.
    """
    try:
        request = orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(request, dict):
        raise invalid("JSON Value: the request must be an object")
    signature = request.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid("'signature_name' key must be a string value.")
    signature = signature or "serving_default"
    name = input_of(signature, signatures)
    if len({"instances", "inputs"} & set(request)) != 1:
        raise invalid("expecting one of the keys 'instances' and 'inputs'")
    if by_row := "instances" in request:
        values = request["instances"]
        if isinstance(values, list):
            values = [_unwrap(row, name, f"element {i}") for i, row in enumerate(values)]
    else:
        values = _unwrap(request["inputs"], name, "'inputs'")
    if not isinstance(values, list):
        raise invalid("expecting 'instances' or 'inputs' to be a list, one value for each row")
    return signature, [_to_bytes(i, value) for i, value in enumerate(values)], by_row


def input_of(signature: str, signatures: Mapping[str, str]) -> str:
    """Returns the name of a signature's input. Raises ServeError for an unknown signature."""
    if signature not in signatures:
        known = ", ".join(sorted(signatures))
        raise invalid(f'Serving signature key "{signature[:100]}" not found; known: {known}')
    return signatures[signature]


def _unwrap(value: Any, name: str, where: str) -> Any:
    if not isinstance(value, dict) or set(value) == {"b64"}:
        return value
    if set(value) != {name}:
        raise invalid(f"{where} has the keys {sorted(value)}, the signature {name}")
    return value[name]


def _to_bytes(i: int, value: Any) -> bytes:
    if isinstance(value, str):
        if _is_bare_base64(value):
            raise invalid(
                f'Failed to process element: {i}. It is base64 text; wrap it in {{"b64": "..."}}'
            )
        return value.encode()
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return _decode_base64(value["b64"])
        except ValueError:
            raise invalid(f"Failed to process element: {i}. Unable to base64 decode") from None
    kind = type(value).__name__
    raise invalid(f"Failed to process element: {i}. JSON Value of type {kind} is not a string")


def _decode_base64(text: str) -> bytes:
    """Decodes base64. Raises ValueError for other characters or wrong padding."""
    data = text.encode("ascii").translate(None, b" \t\n\v\f\r")
    digits = data.rstrip(b"=.")
    missing = -len(digits) % 4
    if missing == 3 or len(data) - len(digits) not in (0, missing):
        raise ValueError("wrong padding")
    return base64.b64decode(digits + b"=" * missing, validate=True)


def _is_bare_base64(text: str) -> bool:
    """Whether a text is a data URL or base64 of an image. No image is valid UTF-8 itself."""
    if text.startswith("data:"):
        return True
    try:
        return len(_decode_base64(text.translate(_URL_SAFE))) >= _SMALLEST_IMAGE
    except ValueError:
        return False


def format_response(outputs: Mapping[str, np.ndarray], by_row: bool) -> bytes:
    """Returns the body of a response; each float32 has the fewest digits that round-trip."""
    columns = {name: _to_list(name, values) for name, values in outputs.items()}
    if len(columns) == 1:
        (only,) = columns.values()
        return to_json({"predictions" if by_row else "outputs": only})
    if not by_row:
        return to_json({"outputs": columns})
    rows = zip(*columns.values(), strict=True)
    return to_json({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})


def _to_list(name: str, values: np.ndarray) -> list[Any]:
    if values.dtype != object:
        return list(values)

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return [text(part) for part in value]
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode(errors="replace")

    return [text(value) for value in values.tolist()]


def to_json(value: Any) -> bytes:
    """Encodes built-in types and NumPy arrays."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
