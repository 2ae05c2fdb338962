import io

import numpy as np
import pytest
from PIL import Image

from components.report import figures
from tests.components.report.test_page import predicted
from tests.images import FORMS, encode, gray

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("form", FORMS)
def test_thumbnail_of_every_form(form: str) -> None:
    content = FORMS[form]()
    small = figures.thumbnail(content, side=40)
    assert small is not None
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.mode) == ("JPEG", "L")
        assert max(image.size) <= 40
    if form == "jpeg_exif_6":  # turned upright
        assert image.size[1] > image.size[0]


def test_thumbnail_of_16_bits_keeps_the_gray_values() -> None:
    eight, sixteen = (figures.thumbnail(FORMS[form]()) for form in ("png_gray", "png_16bit"))
    assert eight is not None
    assert eight == sixteen


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        b"<html></html>",
        FORMS["jpeg_gray"]()[:200],
        FORMS["png_gray"]()[:60],
        encode(Image.fromarray(gray()), "PNG").replace(b"IDAT", b"XDAT"),
    ],
)
def test_thumbnail_of_what_is_no_image(content: bytes) -> None:
    assert figures.thumbnail(content) is None


@pytest.mark.parametrize("chosen", ["both", "normal", "pneumonia", "one"])
def test_figures_of_degenerate_splits(chosen: str) -> None:
    answers = predicted()
    n = np.arange(len(answers))
    mask = {"both": n >= 0, "normal": answers.label == 0, "pneumonia": answers.label == 1,
            "one": n == 0}[chosen]  # fmt: skip
    part = answers.where(mask)
    for drawn in (
        figures.roc(part, 0.5),
        figures.precision_recall(part, 2.0),  # nothing is called positive
        figures.confusion_matrix(part, 0.5, ("NORMAL", "PNEUMONIA")),
        figures.calibration(part),
    ):
        assert drawn.startswith(PNG)


@pytest.mark.parametrize(
    "history",
    [
        {"epochs": [1], "loss": [0.5], "val_loss": [0.6], "accuracy": [0.5], "val_accuracy": [0.5]},
        {"epochs": [1, 2], "loss": [0.5, None], "val_loss": [float("nan"), 0.6]},
        {"epochs": [1, 2]},
    ],
)
def test_curves_of_short_or_broken_histories(history: dict) -> None:
    for name in ("loss", "accuracy"):
        assert figures.curve(history, name).startswith(PNG)


def test_the_same_numbers_draw_the_same_bytes() -> None:
    assert figures.roc(predicted(), 0.5) == figures.roc(predicted(), 0.5)
