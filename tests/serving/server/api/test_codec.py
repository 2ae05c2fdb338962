import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.server.api import codec
from serving.server.errors import ServeError

SIGNATURES = {"serving_default": "image_bytes", "embed": "image_bytes"}


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


@pytest.mark.parametrize(
    "body, expected, by_row",
    [
        ({"instances": [b64(b"x")]}, [b"x"], True),
        ({"instances": [{"image_bytes": b64(b"x")}]}, [b"x"], True),
        ({"instances": [{"image_bytes": "text"}, b64(b"")]}, [b"text", b""], True),
        ({"inputs": [b64(b"x"), "ä"]}, [b"x", "ä".encode()], False),
        ({"inputs": {"image_bytes": [b64(b"x")]}}, [b"x"], False),
        ({"signature_name": "", "instances": ["x"]}, [b"x"], True),
        ({"signature_name": "serving_default", "instances": ["x"]}, [b"x"], True),
        ({"instances": []}, [], True),  # refused by the endpoint
    ],
)
def test_forms(body: Any, expected: list[bytes], by_row: bool) -> None:
    parsed = codec.parse(json.dumps(body).encode(), SIGNATURES)
    assert parsed == ("serving_default", expected, by_row)


WRONG: dict[str, tuple[Any, str]] = {
    "array": ([], "must be an object"),
    "nothing": ({}, "one of the keys 'instances' and 'inputs'"),
    "both": ({"instances": ["a"], "inputs": ["a"]}, "one of the keys"),
    "row scalar": ({"instances": "a"}, "to be a list"),
    "column scalar": ({"inputs": "a"}, "to be a list"),
    "b64 alone": ({"inputs": {"b64": "AA=="}}, "to be a list"),
    "number": ({"instances": ["a", 1]}, "element: 1"),
    "bool": ({"instances": [True]}, "type bool"),
    "null": ({"instances": [None]}, "type NoneType"),
    "object": ({"instances": [{"image_bytes": {"b64": "", "x": 1}}]}, "type dict"),
    "b64 of a number": ({"instances": [{"b64": 5}]}, "type dict"),
    "not base64": ({"instances": [{"b64": "a"}]}, "base64"),
    "stray characters": ({"instances": [{"b64": "QUJD*"}]}, "base64"),
    "wrong padding": ({"instances": [{"b64": "QUJDRA="}]}, "base64"),
    "bare base64": ({"instances": [base64.b64encode(bytes(99)).decode()]}, 'wrap it in {"b64"'),
    "bare base64 in a column": ({"inputs": ["_-8A" * 30]}, 'wrap it in {"b64"'),
    "bare base64 in lines": ({"instances": ["/9j/4AAQSkZJ\n" * 9]}, 'wrap it in {"b64"'),
    "data URL": ({"instances": ["data:image/png;base64,iVBO"]}, 'wrap it in {"b64"'),
    "url-safe base64": ({"instances": [{"b64": "_-8="}]}, "base64"),
    "other key": ({"instances": [{"pixels": "a"}]}, "pixels"),
    "more keys": ({"instances": [{"image_bytes": "a", "b": 1}]}, "keys"),
    "signature": ({"signature_name": "no", "instances": ["a"]}, "not found"),
    "kind of signature": ({"signature_name": 3, "instances": ["a"]}, "string"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str) -> None:
    body, why = WRONG[case]
    with pytest.raises(ServeError, match=why) as caught:
        codec.parse(json.dumps(body).encode(), SIGNATURES)
    assert caught.value.http == 400


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    try:
        codec.parse(body, SIGNATURES)
    except ServeError as error:
        assert error.http == 400


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_float32_come_back_as_they_were(values: list[float]) -> None:
    sent = np.array(values, np.float32)
    body = codec.format_response({"score": sent, "pair": np.stack([sent, sent], 1)}, by_row=True)
    rows = json.loads(body)["predictions"]
    got = np.array([row["score"] for row in rows]).astype(np.float32)
    np.testing.assert_array_equal(got, sent)
    assert np.array([row["pair"] for row in rows]).astype(np.float32).tolist() == [
        [x, x] for x in sent.tolist()
    ]


def test_responses() -> None:
    outputs = {
        "decision": np.array([b"A", b"\xff"], object),
        "classes": np.array([[b"a", b"b"], [b"a", b"b"]], object),
        "ok": np.array([True, False]),
        "map_bytes": np.array([b"\xff", b""], object),
    }
    rows = json.loads(codec.format_response(outputs, by_row=True))
    assert rows == {
        "predictions": [
            {"decision": "A", "classes": ["a", "b"], "ok": True, "map_bytes": {"b64": "/w=="}},
            {"decision": "\ufffd", "classes": ["a", "b"], "ok": False, "map_bytes": {"b64": ""}},
        ]
    }
    columns = json.loads(codec.format_response(outputs, by_row=False))
    assert columns["outputs"]["ok"] == [True, False]
    one = {"score": np.array([0.5], np.float32)}
    assert json.loads(codec.format_response(one, by_row=True)) == {"predictions": [0.5]}
    assert json.loads(codec.format_response(one, by_row=False)) == {"outputs": [0.5]}
