"""Opens the page in a real browser, served by the stand-in server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import serving
from tests.serving.ui.browser_page import BrowserPage
from tests.support.stand_ins.model_server import BAND, CLASSES, THRESHOLD, StandInServer, start

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
def standin() -> Iterator[StandInServer]:
    server = StandInServer(ui=UI, about=dict(ABOUT))
    stop = start(server)
    yield server
    stop()


@pytest.fixture
def open_page(browser: Any, standin: StandInServer) -> Iterator[Callable[..., BrowserPage]]:
    pages: list[BrowserPage] = []

    def opener(**options: Any) -> BrowserPage:
        pages.append(BrowserPage(browser, standin, **options))
        return pages[-1]

    yield opener
    for page in pages:
        page.context.close()
