import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from components.report import figures, figures_reliability
from components.report.drawing import thumbnail
from schema.labels import THREE_CLASS
from tests.components.report.made import predicted
from tests.support.images import FORMS, encode, gray

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("form", FORMS)
def test_thumbnail_of_every_form(form: str) -> None:
    content = FORMS[form]()
    small = thumbnail(content, side=40)
    assert small is not None
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.mode) == ("JPEG", "L")
        assert max(image.size) <= 40
    if form == "jpeg_exif_6":  # turned upright
        assert image.size[1] > image.size[0]


def test_thumbnail_of_16_bits_keeps_the_gray_values() -> None:
    eight, sixteen = (thumbnail(FORMS[form]()) for form in ("png_gray", "png_16bit"))
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
    assert thumbnail(content) is None


@pytest.mark.parametrize("chosen", ["all", "normal", "pneumonia", "one", "none"])
def test_figures_of_degenerate_splits(chosen: str) -> None:
    given = predicted(of=THREE_CLASS)
    n = np.arange(len(given))
    mask = {"all": n >= 0, "normal": given.label == 0, "pneumonia": given.label > 0,
            "one": n == 0, "none": n < 0}[chosen]  # fmt: skip
    part = given.where(mask)
    none_called = replace(part, threshold=2.0)
    shares = {"estimate": 0.9, "low": 0.8, "high": None}
    for drawn in (
        figures.roc(part),
        figures.class_roc(part),
        figures.precision_recall(none_called),
        figures.confusion_matrix(np.zeros((3, 3), int), THREE_CLASS.classes),
        figures_reliability.calibration(part),
        figures_reliability.risk_over_coverage(part),
        figures_reliability.over_prevalence({"sensitivity": shares, "specificity": shares}, 0.0),
        figures_reliability.score_distributions(part, given, ("NORMAL", "rest")),
    ):
        assert drawn.startswith(PNG)


def test_many_classes_have_a_matrix_too() -> None:
    names = [f"CLASS {i} or ANOTHER {i}" for i in range(9)]
    assert figures.confusion_matrix(np.eye(9, dtype=int), names).startswith(PNG)


@pytest.mark.parametrize(
    "history",
    [
        {"epochs": [1], "loss": [0.5], "val_loss": [0.6], "accuracy": [0.5], "val_accuracy": [0.5]},
        {"epochs": [1, 2], "loss": [0.5, None], "val_loss": [float("nan"), 0.6]},
        {"epochs": [1, 2]},
        {},
    ],
)
def test_curves_of_short_or_broken_histories(history: dict) -> None:
    for name in ("loss", "accuracy"):
        assert figures.curve({"0": history, "1": history}, name).startswith(PNG)


def test_the_same_numbers_draw_the_same_bytes() -> None:
    assert figures.roc(predicted()) == figures.roc(predicted())
