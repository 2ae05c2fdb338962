"""A real browser on the page, served by the stand-in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import serving
from tests.serving.standin import BAND, CLASSES, THRESHOLD, Standin, start
from tests.serving.ui.opened import Opened

UI = Path(serving.__file__).parent / "ui"
ABOUT = {
    "name": "demo",
    "model": "pneumo",
    "version": "7",
    "backbone": "Xception",
    "weights": {"kind": "published"},
    "classes": CLASSES,
    "positive": CLASSES[1:],
    "threshold": THRESHOLD,
    "band": BAND,
    "image_size": 224,
    "synthetic": True,
    "operating_point": {
        "sensitivity": 0.95,
        "specificity": 0.9,
        "positives": 587,
        "negatives": 159,
    },
    "limits": {"max_bytes": 1 << 20, "max_pixels": 64_000_000},
}


@pytest.fixture
def standin() -> Iterator[Standin]:
    made = Standin(ui=UI, about=dict(ABOUT))
    stop = start(made)
    yield made
    stop()


@pytest.fixture
def open_page(browser: Any, standin: Standin) -> Iterator[Callable[..., Opened]]:
    made: list[Opened] = []

    def opener(**options: Any) -> Opened:
        made.append(Opened(browser, standin, **options))
        return made[-1]

    yield opener
    for one in made:
        one.context.close()
