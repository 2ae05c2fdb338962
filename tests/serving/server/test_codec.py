import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.server import codec
from serving.server.codec import Spec
from serving.server.errors import HTTP, Code, ServeError

ONE = {"serving_default": {"image_bytes": Spec("string", (-1,))}}
TWO = {"both": {"a": Spec("string", (-1,)), "n": Spec("float32", (-1, 2))}}


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
    ],
)
def test_forms(body: Any, expected: list[bytes], by_row: bool) -> None:
    request, inputs = codec.read(json.dumps(body).encode(), ONE)
    assert inputs == {"image_bytes": expected}
    assert request.rows == len(expected)
    assert request.by_row is by_row


def test_several_inputs() -> None:
    body = {
        "signature_name": "both",
        "instances": [{"a": "x", "n": [1, 2]}, {"n": [3, 4], "a": "y"}],
    }
    _, inputs = codec.read(json.dumps(body).encode(), TWO)
    assert inputs["a"] == [b"x", b"y"]
    assert inputs["n"].dtype == np.float32
    np.testing.assert_array_equal(inputs["n"], [[1, 2], [3, 4]])


WRONG: dict[str, tuple[Any, str]] = {
    "array": ([], "must be an object"),
    "nothing": ({}, "Missing 'inputs' or 'instances'"),
    "both": ({"instances": ["a"], "inputs": ["a"]}, "not both"),
    "no rows": ({"instances": []}, "is empty"),
    "no column": ({"inputs": {"image_bytes": []}}, "is empty"),
    "scalar": ({"inputs": "a"}, "must be a list"),
    "b64 alone": ({"inputs": {"b64": "AA=="}}, "must be a list"),
    "number": ({"instances": ["a", 1]}, "element: 1"),
    "bool": ({"instances": [True]}, "type Bool"),
    "null": ({"instances": [None]}, "type Null"),
    "object": ({"instances": [{"image_bytes": {"b64": "", "x": 1}}]}, "type Object"),
    "b64 of a number": ({"instances": [{"b64": 5}]}, "type Object"),
    "not base64": ({"instances": [{"b64": "a"}]}, "base64"),
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
        codec.read(json.dumps(body).encode(), ONE)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.http == 400


@pytest.mark.parametrize(
    "instances, why",
    [
        (["x"], "must be an object"),
        ([{"a": "x"}], "keys"),
        ([{"a": "x", "n": ["1", "2"]}], "takes float32"),
        ([{"a": "x", "n": [1]}], "shape"),
        ([{"a": "x", "n": [[1], 2]}], "shape"),
        ([{"a": "x", "n": None}], "float32"),
    ],
)
def test_wrong_numbers(instances: Any, why: str) -> None:
    with pytest.raises(ServeError, match=why):
        codec.read(json.dumps({"signature_name": "both", "instances": instances}).encode(), TWO)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    try:
        codec.read(body, ONE)
    except ServeError as error:
        assert error.http == 400


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_float32_come_back_as_they_were(values: list[float]) -> None:
    sent = np.array(values, np.float32)
    body = codec.write_answer({"score": sent, "pair": np.stack([sent, sent], 1)}, by_row=True)
    rows = json.loads(body)["predictions"]
    got = np.array([row["score"] for row in rows]).astype(np.float32)
    np.testing.assert_array_equal(got, sent)
    assert np.array([row["pair"] for row in rows]).astype(np.float32).tolist() == [
        [x, x] for x in sent.tolist()
    ]


def test_answers() -> None:
    outputs: dict[str, Any] = {
        "decision": [b"A", b"\xff"],
        "classes": [[b"a", b"b"], [b"a", b"b"]],
        "ok": np.array([True, False]),
        "map_bytes": [b"\xff", b""],
    }
    rows = json.loads(codec.write_answer(outputs, by_row=True))
    assert rows == {
        "predictions": [
            {"decision": "A", "classes": ["a", "b"], "ok": True, "map_bytes": {"b64": "/w=="}},
            {"decision": "\ufffd", "classes": ["a", "b"], "ok": False, "map_bytes": {"b64": ""}},
        ]
    }
    columns = json.loads(codec.write_answer(outputs, by_row=False))
    assert columns["outputs"]["ok"] == [True, False]
    one = {"score": np.array([0.5], np.float32)}
    assert json.loads(codec.write_answer(one, by_row=True)) == {"predictions": [0.5]}
    assert json.loads(codec.write_answer(one, by_row=False)) == {"outputs": [0.5]}


def test_every_code_has_an_http_status() -> None:
    assert set(HTTP) == set(Code)
