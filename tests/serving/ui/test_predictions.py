"""Predictions, rejections and facts of the model on the page."""

from collections.abc import Callable
from typing import Any

import pytest

from serving.predict.dicom import render
from tests.serving.ui.browser_page import HEADLINES, BrowserPage, png_with
from tests.support.images.dicoms import make_dataset, to_bytes
from tests.support.images.synthetic import gray
from tests.support.stand_ins.model_server import StandInServer, row_of

Opener = Callable[..., BrowserPage]


def test_predictions_are_shown(open_page: Opener) -> None:
    ui = open_page()
    contents = {decision: png_with(decision) for decision in HEADLINES}
    ui.choose_files(*((f"{decision}.png", content) for decision, content in contents.items()))
    ui.wait_for_results()
    cards = ui.page.locator(".card").all()
    for card, (decision, content) in zip(cards, contents.items(), strict=True):
        assert card.locator("h3").inner_text() == f"{decision}.png"
        assert card.locator(".decision").inner_text() == HEADLINES[decision]
        row = row_of(content)
        shown = dict(line.inner_text().split("\t") for line in card.locator("tbody tr").all())
        probabilities = zip(row["classes"], row["probabilities"], strict=True)
        assert shown == {name: f"{100 * p:.1f} %" for name, p in probabilities}
        # No class is highlighted for a referred image.
        chosen = [] if decision == "REFER" else [row["predicted_class"]]
        assert card.locator("tr.chosen th").all_inner_texts() == chosen
        for label in card.locator(".scale span").all():
            assert label.bounding_box()["height"] < 24  # one line
        score = f"Score {100 * row['score']:.1f} %"
        assert score in card.locator(".scale").get_attribute("aria-label")
        assert "version 7" in card.locator(".source").inner_text()
        assert "not a medical device" in card.locator(".source").inner_text()
        # The image is shown, and no heat map if the model returns none.
        assert card.locator("img").evaluate("image => image.naturalWidth") == 120
        for part in (".heat", ".heat-tools", ".explain"):
            assert card.locator(part).is_hidden()
    assert ui.errors == []


REJECTED = {
    "empty.png": (b"", "empty"),
    "page.png": (b"<html>" * 20, "Not a JPEG or PNG"),
    "film.dcm": (bytes(128) + b"DICM" + bytes(50), "DICOM no_pixels"),
    "ct": (to_bytes(make_dataset(gray(64, 64), modality="CT")), "DICOM wrong_modality"),
    "half.png": (b"\x89PNG\r\n\x1a\n", "truncated (no end of image)."),
    "huge.png": (png_with("POSITIVE") + bytes(1 << 20), "larger than the limit"),
}


def test_rejected_images_show_a_reason(open_page: Opener, standin: StandInServer) -> None:
    ui = open_page()
    ui.choose_files(*((name, content) for name, (content, _) in REJECTED.items()))
    ui.wait_for_results()
    cards = ui.page.locator(".card").all()
    for card, (_, reason) in zip(cards, REJECTED.values(), strict=True):
        assert card.locator(".decision").inner_text() == "Rejected"
        assert reason in card.locator(".meaning").inner_text()
        assert card.locator("table").is_hidden()
    # The file above the limit and what is no radiograph in DICOM are not sent.
    assert standin.attempts == len(REJECTED) - 3


def test_a_dicom_file_is_shown_and_predicted_as_its_pixels(
    open_page: Opener, standin: StandInServer
) -> None:
    content = to_bytes(make_dataset(gray(64, 48), PatientName="Quillfeather^A"))
    ui = open_page()
    ui.choose_files(("IM0001", content), ("film.DCM", content))
    ui.wait_for_results()
    row = row_of(render(content).png)
    for card in ui.page.locator(".card").all():
        expected = f"{100 * row['probabilities'][0]:.1f} %"
        assert card.locator("tbody tr").first.inner_text().split("\t")[1] == expected
        size = card.locator("img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
        assert size == [48, 64]
    assert "Quillfeather" not in ui.page.locator("body").inner_text()
    assert standin.calls == [1, 1]
    assert ui.errors == []


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"synthetic": True}, "trained on synthetic radiographs"),
        ({"weights": {"kind": "random"}, "synthetic": False}, "random weights, without"),
        ({"synthetic": False}, ""),
    ],
)
def test_a_warning_stands_above_the_predictions(
    facts: dict[str, Any], text: str, open_page: Opener, standin: StandInServer
) -> None:
    standin.about |= facts
    ui = open_page()
    ui.choose_files(("a.png", png_with("POSITIVE")))
    ui.wait_for_results()
    warning = ui.page.locator("#warning")
    assert warning.is_visible() is bool(text)
    if text:
        assert text in warning.inner_text()
        assert "meaningless" in warning.inner_text()
        card = ui.page.locator(".card").bounding_box()
        assert warning.bounding_box()["y"] < card["y"]


def test_overload_is_retried_and_failures_are_shown(
    open_page: Opener, standin: StandInServer
) -> None:
    ui = open_page()
    standin.faults.extend([503, 429, 500])
    ui.choose_files(("a.png", png_with("POSITIVE")))
    ui.wait_for_results()
    card = ui.page.locator(".card")
    assert card.locator(".decision").inner_text() == "Failed"
    assert "fault 500" in card.locator(".meaning").inner_text()
    assert standin.attempts == 3
    card.locator(".retry").click()
    ui.page.wait_for_selector(".card.positive")
    assert card.locator(".retry").is_hidden()


def test_model_facts(open_page: Opener, standin: StandInServer) -> None:
    """Missing facts are omitted."""
    text = open_page().page.locator("aside").inner_text()
    for part in (
        *("demo, version 7", "Xception", "NORMAL, BACTERIA, VIRUS", "Synthetic radiographs"),
        *("referred between 0.40 and 0.60", "sensitivity 0.95, specificity 0.90"),
        *("up to 1 MiB", "one task"),
    ):
        assert part in text
    standin.about = {"version": "7", "model": "pneumo"}
    ui = open_page()
    ui.choose_files(("a.png", png_with("POSITIVE")))
    ui.wait_for_results()
    text = ui.page.locator("body").inner_text()
    assert "undefined" not in text
    assert "NaN" not in text
    assert ui.errors == []


def test_no_requests_to_other_origins(open_page: Opener, standin: StandInServer) -> None:
    ui = open_page()
    ui.choose_files(("a.png", png_with("POSITIVE")))
    ui.wait_for_results()
    assert len(ui.requests) > 5
    for url in ui.requests:
        assert url.startswith((f"{standin.rest}/", f"blob:{standin.rest}/")), url
    # The content security policy forbids any other origin.
    fetched = "fetch('http://127.0.0.1:9/').then(() => 'sent', error => String(error))"
    assert "TypeError" in ui.page.evaluate(fetched)
    assert any("Content Security Policy" in line for line in ui.errors)
