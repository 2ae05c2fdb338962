import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schema.errors import PneumoError
from serving.client.client import PROBE_IMAGE
from serving.server import inputs_log
from serving.server.inputs_log import InputsLog, measure
from serving.server.options import ServerOptions
from tests.support.images.synthetic import FORMS, encode, gray


@pytest.mark.parametrize("size", [(17, 33), (512, 700)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_brightness_is_the_mean_gray(size: tuple[int, int], kind: str) -> None:
    pixels = gray(*size)
    measured = measure(encode(Image.fromarray(pixels), kind))
    assert (measured["height"], measured["width"]) == pixels.shape
    assert measured["brightness"] == pytest.approx(pixels.mean(), abs=1.5)
    deep = measure(encode(Image.fromarray(pixels.astype(np.uint16) * 257), "PNG"))
    assert deep["brightness"] == pytest.approx(pixels.mean(), abs=0.01)


class NoEmbedding:
    signatures: dict[str, str] = {}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_all_image_formats_are_measured(name: str) -> None:
    assert 0 <= measure(FORMS[name]())["brightness"] <= 255


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "new" / "log.jsonl"
    content = FORMS["jpeg_gray"]()
    rows = [(content, 0.25, "NEGATIVE", "OK"), (b"", -1.0, "REJECTED", "EMPTY")]
    rows.append((PROBE_IMAGE, 0.5, "POSITIVE", "OK"))  # of a client, not of a patient: left out
    for _ in range(2):  # a second log appends
        log = InputsLog(ServerOptions(tmp_path, log_inputs=file, log_embeddings=1.0), lambda: None)
        log.add(7, NoEmbedding(), rows)  # type: ignore[arg-type]
        log.close()
    log = InputsLog(ServerOptions(tmp_path, log_inputs=file, log_sample=0.0), lambda: None)
    log.add(7, NoEmbedding(), rows * 50)  # type: ignore[arg-type]
    log.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 4
    good, empty = lines[:2]
    assert (good["version"], good["score"], good["status"]) == ("7", 0.25, "OK")
    assert good["height"] > 0 < good["brightness"]
    assert (empty["height"], empty["brightness"], empty["status"]) == (None, None, "EMPTY")


def test_images_beyond_the_queue_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_log, "_MAX_QUEUED", 2)
    file, skipped = tmp_path / "log", threading.Semaphore(0)
    log = InputsLog(ServerOptions(tmp_path, log_inputs=file), skipped.release)
    row = (FORMS["jpeg_gray"](), 0.5, "NEGATIVE", "OK")
    log.add(1, NoEmbedding(), [row] * 200)  # type: ignore[arg-type]
    assert skipped.acquire(timeout=10)
    log.close()
    assert 2 <= file.read_bytes().count(b"\n") < 200


def test_queue_slots_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_log, "_MAX_QUEUED", 1)
    file = tmp_path / "log"
    log = InputsLog(ServerOptions(tmp_path, log_inputs=file), lambda: None)
    for lines in range(1, 4):
        end = time.monotonic() + 10
        while file.read_bytes().count(b"\n") < lines:
            assert time.monotonic() < end
            log.add(1, NoEmbedding(), [(b"", 0.0, "", "EMPTY")])  # type: ignore[arg-type]
            time.sleep(0.001)
    log.close()


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PneumoError, match="cannot write"):
        InputsLog(ServerOptions(tmp_path, log_inputs=tmp_path / "file" / "log"), lambda: None)
