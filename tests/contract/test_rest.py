"""What every endpoint answers over REST, TensorFlow Serving itself or the built-in server."""

import base64
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.serving.server import Server, predict_over_rest, rows

OUTPUTS = {
    *("probabilities", "score", "decision", "abstained", "predicted_class", "classes", "status")
}


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def predict(web: httpx.Client, server: Server, body: Any, path: str = "") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.post(f"{server.model}{path}:predict", content=content)


@pytest.fixture(scope="module")
def version(web: httpx.Client, server: Server) -> int:
    states = web.get(server.model).json()["model_version_status"]
    return max(int(s["version"]) for s in states if s["state"] == "AVAILABLE")


@pytest.fixture(scope="module")
def explains(web: httpx.Client, server: Server) -> bool:
    metadata = web.get(f"{server.model}/metadata").json()["metadata"]
    return "explain" in metadata["signature_def"]["signature_def"]


def test_status(web: httpx.Client, server: Server, version: int) -> None:
    answer = web.get(f"{server.model}/versions/{version}")
    assert answer.status_code == 200
    status = {"error_code": "OK", "error_message": ""}
    expected = {"version": str(version), "state": "AVAILABLE", "status": status}
    assert answer.json() == {"model_version_status": [expected]}


def test_metadata(web: httpx.Client, server: Server, version: int) -> None:
    spec = {"name": server.name, "signature_name": "", "version": str(version)}
    for path in ("", f"/versions/{version}"):
        answer = web.get(f"{server.model}{path}/metadata").json()
        assert answer["model_spec"] == spec
        signatures = answer["metadata"]["signature_def"]["signature_def"]
        assert {"serving_default", "embed"} <= set(signatures)
        default = signatures["serving_default"]
        assert default["method_name"] == "tensorflow/serving/predict"
        assert default["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
        assert set(default["outputs"]) >= OUTPUTS
        assert default["outputs"]["score"]["tensor_shape"]["dim"][0]["size"] == "-1"


def test_rows_and_columns_are_the_same_answers(
    web: httpx.Client, server: Server, images: list[bytes]
) -> None:
    by_row = predict_over_rest(server, images, web)
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


def test_every_form_of_a_request(
    web: httpx.Client, server: Server, images: list[bytes], version: int
) -> None:
    one = b64(images[0])
    expected = predict_over_rest(server, images[:1], web)
    for body in (
        {"instances": [{"image_bytes": one}]},
        {"instances": [one]},
        {"signature_name": "serving_default", "instances": [one]},
    ):
        assert predict(web, server, body).json() == {"predictions": expected}
    column = predict(web, server, {"inputs": [one]}).json()
    assert column["outputs"]["score"] == [expected[0]["score"]]
    body = json.dumps({"instances": [one]}).encode()
    answer = predict(web, server, {"instances": [one]}, f"/versions/{version}")
    assert answer.json() == {"predictions": expected}
    # Chunked transfer encoding, without a length.
    pieces = (body[i : i + 1000] for i in range(0, len(body), 1000))
    answer = web.post(f"{server.model}:predict", content=pieces)
    assert answer.json() == {"predictions": expected}


def test_embed(web: httpx.Client, server: Server, images: list[bytes]) -> None:
    answer = predict(web, server, {"signature_name": "embed", **rows(images)})
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    assert {row["status"] for row in found} == {"OK"}
    vectors = np.array([row["embedding"] for row in found])
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(images)


def test_explain(web: httpx.Client, server: Server, images: list[bytes], explains: bool) -> None:
    if not explains:
        pytest.skip("this endpoint's model explains nothing")
    mixed = [images[0], b"no image", images[2]]
    answer = predict(web, server, {"signature_name": "explain", **rows(mixed)})
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
        found = boxes[scores >= 0]
        assert (found[:, :2] < found[:, 2:]).all()
        assert (found <= [row["image_height"], row["image_width"]] * 2).all()
        assert not boxes[scores < 0].any()
    assert rejected["decision"] == "REJECTED"
    assert not np.any(rejected["heatmap"])
    assert not np.any(rejected["boxes"])
    assert set(rejected["box_scores"]) == {-1}
    assert rejected["image_width"] == rejected["image_height"] == 0
    good = predict(web, server, {"signature_name": "explain", **rows(images[:3])}).json()
    assert [good["predictions"][i] for i in (0, 2)] == [first, last]


REFUSED: dict[str, Any] = {
    "not JSON": b"{",
    "neither instances nor inputs": {"signature_name": "serving_default"},
    "instances not a list": {"instances": {"b64": ""}},
    "no instances": {"instances": []},
    "number for bytes": {"instances": [1.5]},
    "not base64": {"instances": [{"b64": "*"}]},
    "unknown input": {"instances": [{"pixels": {"b64": ""}}]},
    "unknown signature": {"signature_name": "nope", "instances": ["a"]},
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(web: httpx.Client, server: Server, case: str) -> None:
    answer = predict(web, server, REFUSED[case])
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"]


@pytest.mark.parametrize("suffix", ["", "/metadata", ":predict"])
@pytest.mark.parametrize(
    "path, statuses",
    [("nobody", [404]), ("{}/versions/987654", [404]), ("{}/labels/stable", [400, 404])],
)
def test_unknown_model_version_or_label(
    web: httpx.Client, server: Server, path: str, suffix: str, statuses: list[int]
) -> None:
    url = f"{server.rest}/v1/models/{path.format(server.name)}{suffix}"
    answer = web.request("POST" if suffix == ":predict" else "GET", url, json=rows([b""]))
    assert answer.status_code in statuses, answer.text
    assert "error" in answer.json()


def test_bad_images_are_rejected_in_their_rows_and_change_no_other(
    web: httpx.Client, server: Server, images: list[bytes]
) -> None:
    bad = [b"", b"<!DOCTYPE html>", b"\xff\xd8\xff\xe0", images[0][: len(images[0]) // 2]]
    good = predict_over_rest(server, [images[0]] * 4 + images[1:3], web)
    mixed = predict_over_rest(server, [images[1], *bad, images[2]], web)
    assert [mixed[0], mixed[-1]] == good[-2:]
    assert mixed[-2]["status"] in ("TRUNCATED", "DAMAGED")
    for row in mixed[1:-1]:
        assert row["status"] != "OK"
        assert (row["decision"], row["score"], row["abstained"]) == ("REJECTED", -1, True)
