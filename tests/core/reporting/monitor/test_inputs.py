import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.reporting.monitor.inputs import from_rows, read_logs
from schema.errors import PneumoError

LINE: dict[str, Any] = {
    "time": 1.8e9,
    "version": "7",
    "height": 900,
    "width": 1200,
    "brightness": 121.5,
    "score": 0.25,
    "decision": "NEGATIVE",
    "status": "OK",
}
REJECTED = {
    **LINE,
    "height": None,
    "width": None,
    "brightness": None,
    "score": -1.0,
    "decision": "REJECTED",
    "status": "TRUNCATED: 31 bytes are missing",
}


def write(file: Path, *lines: Any, end: str = "\n") -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + end)
    return file


def test_reads_the_log_of_the_server(tmp_path: Path) -> None:
    """The log of `pneumo serve`, through its own writer."""
    from PIL import Image

    from serving.server.inputs_log import InputsLog
    from serving.server.options import ServerOptions
    from tests.support.images.synthetic import encode, gray

    log = InputsLog(ServerOptions(tmp_path, log_inputs=tmp_path / "inputs.jsonl"), lambda: None)
    image = encode(Image.fromarray(gray()), "JPEG", quality=95)
    model: Any = type("Model", (), {"signatures": {}})()
    log.add(3, model, [(image, 0.75, "POSITIVE", "OK"), (b"x", -1.0, "REJECTED", "EMPTY")])
    log.close()
    inputs = read_logs([tmp_path / "inputs.jsonl"])
    assert len(inputs) == 2
    assert inputs.usable == 1
    assert inputs.versions == ["3"]
    assert inputs.table["height"][0] == 61
    assert inputs.table["width"][0] == 83
    assert inputs.table["brightness"][0] == pytest.approx(gray().mean(), abs=1)
    assert inputs.table["score"][0] == 0.75
    assert math.isnan(inputs.table["score"][1])
    assert inputs.table["status"].tolist() == ["OK", "EMPTY"]


def test_columns(tmp_path: Path) -> None:
    lines = LINE, "", {**LINE, "time": 1.9e9, "embedding": [1, 2.5]}, REJECTED, '{"time": 18'
    inputs = read_logs([write(tmp_path / "a.jsonl", *lines, end="")])
    assert (len(inputs), inputs.usable, inputs.times) == (3, 2, (1.8e9, 1.9e9))
    assert (inputs.embedded.tolist(), inputs.embedding.tolist()) == ([1], [[1, 2.5]])
    assert inputs.table["status"].tolist() == ["OK", "OK", "TRUNCATED"]
    assert np.isnan(inputs.table["score"][2])
    assert inputs.table["decision"].tolist() == ["NEGATIVE", "NEGATIVE", ""]
    # The server may be writing it.
    assert inputs.notes == ["a.jsonl: the last line is incomplete; left out"]
    nothing = from_rows([])
    assert (len(nothing), nothing.usable, nothing.times) == (0, 0, None)
    with pytest.raises(PneumoError, match="different models"):
        from_rows([{**LINE, "embedding": [1.0]}, {**LINE, "embedding": [1.0, 2.0]}])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"time": 18', "Invalid JSON"),
        ("[1]", "should be an object"),
        ('{"a": 1}', "none of the keys"),
        ({**LINE, "score": "high"}, "score: Input should be a valid number"),
        ('{"score": NaN}', "score: Input should be a finite number"),
        ({**LINE, "embedding": []}, "embedding: List should have at least 1 item"),
    ],
)
def test_invalid_line_is_named(line: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match=words) as caught:
        read_logs([write(tmp_path / "a.jsonl", LINE, line)])
    assert "line 2" in str(caught.value)
