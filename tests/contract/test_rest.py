"""What every endpoint answers over REST, TensorFlow Serving itself or ours."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.server import Server, ask, rows

OUTPUTS = {
    "probabilities", "score", "decision", "abstained", "predicted_class", "classes", "status",
}  # fmt: skip


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def predict(web: httpx.Client, server: Server, body: Any, of: str = "") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.post(f"{server.model}{of}:predict", content=content)


def version_of(web: httpx.Client, server: Server) -> int:
    states = web.get(server.model).json()["model_version_status"]
    return max(int(s["version"]) for s in states if s["state"] == "AVAILABLE")


def signatures_of(web: httpx.Client, server: Server) -> dict[str, Any]:
    told = web.get(f"{server.model}/metadata").json()
    found: dict[str, Any] = told["metadata"]["signature_def"]["signature_def"]
    return found


def test_status(web: httpx.Client, server: Server) -> None:
    version = version_of(web, server)
    answer = web.get(f"{server.model}/versions/{version}")
    assert answer.status_code == 200
    assert answer.json() == {
        "model_version_status": [
            {
                "version": str(version),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_metadata(web: httpx.Client, server: Server) -> None:
    version = version_of(web, server)
    for path in ("", f"/versions/{version}"):
        told = web.get(f"{server.model}{path}/metadata").json()
        assert told["model_spec"] == {
            "name": server.name,
            "signature_name": "",
            "version": str(version),
        }
        signatures = told["metadata"]["signature_def"]["signature_def"]
        assert {"serving_default", "embed"} <= set(signatures)
        default = signatures["serving_default"]
        assert default["method_name"] == "tensorflow/serving/predict"
        assert default["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
        assert set(default["outputs"]) >= OUTPUTS
        assert default["outputs"]["score"]["tensor_shape"]["dim"][0]["size"] == "-1"


def test_rows_and_columns_are_the_same_answers(
    web: httpx.Client, server: Server, images: list[bytes]
) -> None:
    by_row = ask(server, images, web)
    assert len(by_row) == len(images)
    for row in by_row:
        assert set(row) >= OUTPUTS
        assert row["status"] == "OK"
        assert row["decision"] in ("POSITIVE", "NEGATIVE", "REFER")
        assert row["abstained"] is (row["decision"] == "REFER")
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["predicted_class"] in row["classes"]
    columns = predict(web, server, {"inputs": {"image_bytes": [b64(i) for i in images]}})
    assert columns.status_code == 200
    outputs = columns.json()["outputs"]
    for name in OUTPUTS:
        assert outputs[name] == [row[name] for row in by_row], name


@pytest.mark.parametrize("form", ["named row", "bare row", "bare column", "signature", "version"])
def test_every_way_to_ask(
    web: httpx.Client, server: Server, images: list[bytes], form: str
) -> None:
    one = b64(images[0])
    bodies: dict[str, Any] = {
        "named row": {"instances": [{"image_bytes": one}]},
        "bare row": {"instances": [one]},
        "bare column": {"inputs": [one]},
        "signature": {"signature_name": "serving_default", "instances": [one]},
        "version": {"instances": [one]},
    }
    of = f"/versions/{version_of(web, server)}" if form == "version" else ""
    answer = predict(web, server, bodies[form], of)
    assert answer.status_code == 200
    got = answer.json()
    expected = ask(server, images[:1], web)[0]
    if form == "bare column":
        assert got["outputs"]["score"] == [expected["score"]]
    else:
        assert got["predictions"] == [expected]


def test_embed(web: httpx.Client, server: Server, images: list[bytes]) -> None:
    answer = predict(web, server, {"signature_name": "embed", **rows(images)})
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    assert {row["status"] for row in found} == {"OK"}
    vectors = np.array([row["embedding"] for row in found])
    assert vectors.shape[0] == len(images)
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(images)


def test_explain(web: httpx.Client, server: Server, images: list[bytes]) -> None:
    if "explain" not in signatures_of(web, server):
        pytest.skip("this endpoint's model explains nothing")
    bad = [images[0], b"no image", images[2]]
    answer = predict(web, server, {"signature_name": "explain", **rows(bad)})
    assert answer.status_code == 200
    first, rejected, last = answer.json()["predictions"]
    for row, content in ((first, images[0]), (last, images[2])):
        heat = np.array(row["heatmap"])
        assert heat.ndim == 2
        assert 0 <= heat.min() <= heat.max() <= 1
        with Image.open(io.BytesIO(content)) as opened:
            assert (row["image_width"], row["image_height"]) == opened.size
        boxes, scores = np.array(row["boxes"]), np.array(row["box_scores"])
        assert boxes.shape == (len(scores), 4)
        there = boxes[scores >= 0]
        assert (there[:, :2] < there[:, 2:]).all()
        assert (there <= [row["image_height"], row["image_width"]] * 2).all()
        assert not boxes[scores < 0].any()
    assert rejected["decision"] == "REJECTED"
    assert not np.any(rejected["heatmap"])
    assert not np.any(rejected["boxes"])
    assert set(rejected["box_scores"]) == {-1}
    assert rejected["image_width"] == rejected["image_height"] == 0
    good = [images[0], images[1], images[2]]
    clean = predict(web, server, {"signature_name": "explain", **rows(good)}).json()
    assert [clean["predictions"][i] for i in (0, 2)] == [first, last]


REFUSED: dict[str, tuple[Any, int]] = {
    "not JSON": (b"{", 400),
    "empty body": (b"", 400),
    "not an object": ([1], 400),
    "neither instances nor inputs": ({"signature_name": "serving_default"}, 400),
    "both": ({"instances": ["a"], "inputs": ["a"]}, 400),
    "instances not a list": ({"instances": {"b64": ""}}, 400),
    "no instances": ({"instances": []}, 400),
    "number for bytes": ({"instances": [1.5]}, 400),
    "null for bytes": ({"instances": [None]}, 400),
    "list for bytes": ({"instances": [[1, 2]]}, 400),
    "not base64": ({"instances": [{"b64": "*"}]}, 400),
    "unknown input": ({"instances": [{"pixels": {"b64": ""}}]}, 400),
    "unknown input, column": ({"inputs": {"pixels": [{"b64": ""}]}}, 400),
    "unknown signature": ({"signature_name": "nope", "instances": ["a"]}, 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(web: httpx.Client, server: Server, case: str) -> None:
    body, status = REFUSED[case]
    answer = predict(web, server, body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/v1/models/nobody"),
        ("GET", "/v1/models/nobody/metadata"),
        ("POST", "/v1/models/nobody:predict"),
        ("GET", "/v1/models/{name}/versions/987654"),
        ("GET", "/v1/models/{name}/versions/987654/metadata"),
        ("POST", "/v1/models/{name}/versions/987654:predict"),
    ],
)
def test_unknown_model_or_version(
    web: httpx.Client, server: Server, method: str, path: str, images: list[bytes]
) -> None:
    url = server.rest + path.format(name=server.name)
    content = json.dumps(rows(images[:1])).encode() if method == "POST" else None
    answer = web.request(method, url, content=content)
    assert answer.status_code == 404, answer.text
    assert "error" in answer.json()


BAD = {
    "empty": b"",
    "text": b"<!DOCTYPE html>",
    "gif": b"GIF89a" + bytes(40),
    "jpeg header alone": b"\xff\xd8\xff\xe0",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_image_is_answered_in_its_row_and_changes_no_other(
    web: httpx.Client, server: Server, images: list[bytes], case: str
) -> None:
    good = ask(server, [images[0], images[1], images[2]], web)
    mixed = ask(server, [images[0], BAD[case], images[2]], web)
    assert mixed[0] == good[0]
    assert mixed[2] == good[2]
    assert mixed[1]["status"] != "OK"
    assert mixed[1]["decision"] == "REJECTED"
    assert mixed[1]["score"] == -1
    assert mixed[1]["abstained"] is True


@pytest.mark.parametrize("path", ["", "/metadata", ":predict"])
def test_labels_are_not_known(web: httpx.Client, server: Server, path: str) -> None:
    url = f"{server.model}/labels/stable{path}"
    answer = web.request("POST" if path == ":predict" else "GET", url, json=rows([b""]))
    assert answer.status_code in (400, 404)
    assert "error" in answer.json()


def test_half_an_image(web: httpx.Client, server: Server, images: list[bytes]) -> None:
    (row,) = ask(server, [images[0][: len(images[0]) // 2]], web)
    assert row["status"].split(":")[0] in ("TRUNCATED", "DAMAGED")


def test_a_request_in_pieces(web: httpx.Client, server: Server, images: list[bytes]) -> None:
    """Chunked transfer encoding, without a length."""
    body = json.dumps(rows(images[:1])).encode()
    pieces = (body[i : i + 1000] for i in range(0, len(body), 1000))
    answer = web.post(f"{server.model}:predict", content=pieces)
    assert answer.status_code == 200
    assert answer.json()["predictions"] == ask(server, images[:1], web)
