import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.reporting import figures as shared
from core.reporting.figures import Line
from core.reporting.radiographs import thumbnail
from core.reporting.report import figures
from schema.labels import THREE_CLASS
from tests.core.reporting.report.artificial_report import predicted
from tests.support.images.synthetic import FORMS, encode, gray

PNG = b"\x89PNG\r\n\x1a\n"


def opened(uri: str | None) -> Image.Image:
    assert uri is not None
    head, content = uri.split(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize("form", FORMS)
def test_thumbnail_of_every_form(form: str) -> None:
    with opened(thumbnail(FORMS[form](), side=40)) as image:
        assert (image.format, image.mode) == ("JPEG", "L")
        assert max(image.size) <= 40
        if form == "jpeg_exif_6":  # turned upright
            assert image.size[1] > image.size[0]


def test_thumbnails_of_16_bit_and_unreadable_files() -> None:
    eight, sixteen = (thumbnail(FORMS[form]()) for form in ("png_gray", "png_16bit"))
    assert eight is not None and eight == sixteen  # the gray values stay
    broken = encode(Image.fromarray(gray()), "PNG").replace(b"IDAT", b"XDAT")
    for content in (b"", b"<html></html>", FORMS["jpeg_gray"]()[:200], broken):
        assert thumbnail(content) is None


@pytest.mark.parametrize("chosen", ["normal", "pneumonia", "one", "none"])
def test_figures_of_degenerate_splits(chosen: str) -> None:
    given = predicted(task=THREE_CLASS)
    n = np.arange(len(given))
    mask = {"normal": given.label == 0, "pneumonia": given.label > 0, "one": n == 0, "none": n < 0}[
        chosen
    ]
    part = given.where(mask)
    line = Line("it", part.positive, part.score, part.threshold)
    shares = {"estimate": 0.9, "low": 0.8, "high": None}
    for drawn in (
        shared.roc([line]),
        shared.roc(figures.class_lines(part)),
        shared.calibration([line, line], counts=True),
        figures.precision_recall(replace(line, threshold=2.0)),  # nothing predicted positive
        figures.confusion_matrix(np.zeros((3, 3), int), THREE_CLASS.classes),
        figures.risk_over_coverage(part),
        figures.over_prevalence({"sensitivity": shares, "specificity": shares}, 0.0),
        figures.score_distributions(part, given, ("NORMAL", "rest")),
    ):
        assert drawn.startswith(PNG)


def test_curves_of_short_or_incomplete_histories() -> None:
    nan = {"epochs": [1, 2], "loss": [0.5, None], "val_loss": [float("nan"), 0.6]}
    for history in ({"epochs": [1], "loss": [0.5], "val_loss": [0.6]}, nan, {}):
        assert figures.training_curve({"0": history, "1": history}, "loss").startswith(PNG)


def test_figures_are_deterministic() -> None:
    names = [f"CLASS {i} or ANOTHER {i}" for i in range(9)]
    first, second = (figures.confusion_matrix(np.eye(9, dtype=int), names) for _ in range(2))
    assert first == second
