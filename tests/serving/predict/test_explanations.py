import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.overlay import LINE, colours, gray_of, overlaid
from serving.predict.explanations import drawn, name_of, picture_of
from serving.predict.prediction import Prediction, to_prediction
from tests.support.images.synthetic import FORMS, encode


def answer(file: str = "a.png") -> Prediction:
    return Prediction(
        file,
        decision="POSITIVE",
        score=0.9,
        heatmap=[[0.0, 0.0], [0.0, 0.9]],
        boxes=[[30.0, 40.0, 60.0, 80.0]],
        box_scores=[0.7],
        height=61,
        width=83,
    )


def black(height: int = 100, width: int = 200) -> Image.Image:
    return Image.fromarray(np.zeros((height, width), np.uint8))


def test_heat_lies_where_it_is_hot() -> None:
    heat = np.zeros((10, 20))
    heat[7, 3] = 1
    found = np.asarray(overlaid(black(), heat)).astype(int)
    bright = found.sum(axis=-1)
    row, column = np.unravel_index(bright.argmax(), bright.shape)
    assert (abs(row - 75) <= 5, abs(column - 35) <= 5) == (True, True)
    assert bright[:55].max() == 0
    np.testing.assert_array_equal(np.asarray(overlaid(black(), np.zeros((3, 3)))), 0)
    half = np.zeros((10, 20))
    half[:, 10:] = 1
    found = np.asarray(overlaid(black(), half)).astype(int)
    assert found[:, :90].max() == 0
    expected = 0.6 * colours(np.ones((100, 85)))
    np.testing.assert_allclose(found[:, 115:], expected, atol=1)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_box_is_drawn_where_it_is(scale: int) -> None:
    box = [20.0 * scale, 50.0 * scale, 80.0 * scale, 150.0 * scale]
    found = np.asarray(overlaid(black(100 * scale, 200 * scale), None, [box], side=200))
    assert found.shape == (100, 200, 3)
    lines = (found == LINE).all(axis=-1)
    assert lines[20, 51:150].all()
    assert lines[80, 51:150].all()
    assert lines[21:80, 50].all()
    assert lines[21:80, 150].all()
    assert not lines[30:70, 60:140].any()
    assert not lines[:18].any()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_image(form: str) -> None:
    content = FORMS[form]()
    gray = gray_of(content)
    assert gray.mode == "L"
    with Image.open(io.BytesIO(picture_of(content, answer()))) as picture:
        assert picture.format == "PNG"
        assert picture.width == gray.width
        assert picture.height > gray.height


def test_pictures_are_written_and_predictions_passed_on(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a/x.jpeg", "b/x.jpeg", "long" * 50 + ".png")]
    for file in map(Path, files):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(encode(black(), "JPEG"))
    answers = [*map(answer, files), Prediction("gone.png", error="the file is empty")]
    out = tmp_path / "made" / "out"
    assert list(drawn(answers, out)) == answers
    names = {name_of(file) for file in files}
    assert {path.name for path in out.iterdir()} == names
    assert len(names) == 3
    assert all(len(name) < 100 for name in names)
    assert name_of("/a/\udcff\udcfe.png").isascii()


ROW = {
    "probabilities": [0.1, 0.9],
    "score": 0.9,
    "decision": "POSITIVE",
    "predicted_class": "B",
    "classes": ["A", "B"],
    "status": "OK",
    "heatmap": [[0.5]],
    "image_height": 6,
    "image_width": 8,
    "boxes": [[0.0, 1.0, 2.0, 3.0], [0.0] * 4],
    "box_scores": [0.6, -1.0],
}


def test_a_row_of_explain_is_read() -> None:
    found = to_prediction("a", ROW)
    assert (found.boxes, found.box_scores) == ([[0.0, 1.0, 2.0, 3.0]], [0.6])
    assert (found.heatmap, found.height, found.width) == ([[0.5]], 6, 8)
    told = found.to_dict()
    assert told["boxes"] == [[0.0, 1.0, 2.0, 3.0]]
    assert "heatmap" not in told  # a picture, and no part of a table
    none = to_prediction("a", {**ROW, "box_scores": [-1.0, -1.0]})
    assert none.to_dict()["boxes"] == []  # looked for, and not found
    plain = to_prediction("a", {key: ROW[key] for key in list(ROW)[:6]})
    assert plain.boxes is plain.heatmap is plain.height is None
    assert "boxes" not in plain.to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": [[0.0, 1.0, float("nan"), 3.0], [0.0] * 4]},
        {"boxes": [[0.0, 1.0]]},
        {"boxes": [[0.0, 1.0], [0.0, 1.0]]},
        {"boxes": 5},
        {"heatmap": [[float("inf")]]},
        {"heatmap": [0.5]},
    ],
)
def test_a_row_that_is_none_of_ours(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"box|model of this project|finite|argument"):
        to_prediction("a", {**ROW, **change})
