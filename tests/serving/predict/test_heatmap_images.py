import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.decode_pillow import decode_gray_pillow
from serving.predict.heatmap_images import heatmap_image, image_name, with_heatmap_images
from serving.predict.prediction import Prediction
from tests.support.images.synthetic import FORMS, encode


def prediction(file: str = "a.png") -> Prediction:
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


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_image(form: str) -> None:
    content = FORMS[form]()
    gray = decode_gray_pillow(content)
    assert gray.mode == "L"
    with Image.open(io.BytesIO(heatmap_image(content, prediction()))) as picture:
        assert picture.format == "PNG"
        assert picture.width == gray.width
        assert picture.height > gray.height


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_map_of_one_cell_is_not_drawn(value: float) -> None:
    gray = Image.fromarray(np.full((100, 200), 77, np.uint8))
    one = replace(prediction(), heatmap=[[value]])
    with Image.open(io.BytesIO(heatmap_image(encode(gray, "PNG"), one))) as picture:
        assert (np.asarray(picture)[:100] == 77).all()


def test_images_are_written_and_predictions_yielded(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a/x.jpeg", "b/x.jpeg", "long" * 50 + ".png")]
    for file in map(Path, files):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(encode(black(), "JPEG"))
    predictions = [*map(prediction, files), Prediction("gone.png", error="the file is empty")]
    out = tmp_path / "made" / "out"
    assert list(with_heatmap_images(predictions, out)) == predictions
    names = {image_name(file) for file in files}
    assert {path.name for path in out.iterdir()} == names
    assert len(names) == 3
    assert all(len(name) < 100 for name in names)
    assert image_name("/a/\udcff\udcfe.png").isascii()
