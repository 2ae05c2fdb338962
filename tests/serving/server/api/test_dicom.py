"""POST /ui/dicom of a running server: pixels of a DICOM file for the page."""

import io
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from serving.predict.dicom import to_png
from tests.support.images.dicoms import make_dataset, to_bytes
from tests.support.images.synthetic import gray
from tests.support.serving.server import Server

PIXELS = gray(64, 48)
FILM = to_bytes(make_dataset(PIXELS, PatientName="Quillfeather^A"))


def post(server: Server, content: bytes) -> httpx.Response:
    return httpx.post(f"{server.rest}/ui/dicom", content=content, timeout=120)


def test_the_pixels_are_those_of_predict_without_the_header(small_server: Server) -> None:
    response = post(small_server, FILM)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert "no-store" in response.headers["cache-control"]
    assert response.content == to_png(FILM)
    with Image.open(io.BytesIO(response.content)) as image:
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    assert b"Quillfeather" not in response.content
    assert "Quillfeather" not in small_server.text()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "DICOM not_dicom: "),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "DICOM not_dicom: "),
        (FILM[: len(FILM) // 2], "DICOM "),
        (to_bytes(make_dataset(PIXELS, modality="CT")), "DICOM wrong_modality: "),
        (to_bytes(make_dataset(np.stack([PIXELS] * 2))), "DICOM multi_frame: "),
    ],
)
def test_a_rejected_file_is_one_line(content: bytes, error: str, small_server: Server) -> None:
    response = post(small_server, content)
    assert response.status_code == 422
    message = response.json()["error"]
    assert message.startswith(error)
    assert "\n" not in message and "Quillfeather" not in message


def test_a_file_above_the_limit_of_a_request_is_an_error(small_server: Server) -> None:
    limit = httpx.get(f"{small_server.rest}/ui/about.json").json()["max_body_bytes"]
    response = post(small_server, bytes(limit + 1))
    assert response.status_code == 413


def test_files_at_the_same_time_are_rendered_in_turn(small_server: Server) -> None:
    with ThreadPoolExecutor(3) as pool:
        responses = list(pool.map(lambda _: post(small_server, FILM), range(3)))
    assert [response.content for response in responses] == [to_png(FILM)] * 3
