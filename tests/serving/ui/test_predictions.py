"""Predictions, rejections and facts of the model on the page."""

from collections.abc import Callable

from tests.serving.ui.browser_page import HEADLINES, BrowserPage, png_with
from tests.support.stand_ins.model_server import StandInServer, row_of

Opener = Callable[..., BrowserPage]


def test_predictions_are_shown(open_page: Opener) -> None:
    opened = open_page()
    contents = {decision: png_with(decision) for decision in HEADLINES}
    opened.choose(*((f"{decision}.png", content) for decision, content in contents.items()))
    opened.settle()
    cards = opened.page.locator(".card").all()
    for card, (decision, content) in zip(cards, contents.items(), strict=True):
        assert card.locator("h3").inner_text() == f"{decision}.png"
        assert card.locator(".decision").inner_text() == HEADLINES[decision]
        row = row_of(content)
        shown = dict(line.inner_text().split("\t") for line in card.locator("tbody tr").all())
        probabilities = zip(row["classes"], row["probabilities"], strict=True)
        assert shown == {name: f"{100 * p:.1f} %" for name, p in probabilities}
        # Where the model abstains, no class stands out.
        chosen = [] if decision == "REFER" else [row["predicted_class"]]
        assert card.locator("tr.chosen th").all_inner_texts() == chosen
        for label in card.locator(".scale span").all():
            assert label.bounding_box()["height"] < 24  # one line
        score = f"Score {100 * row['score']:.1f} %"
        assert score in card.locator(".scale").get_attribute("aria-label")
        assert "version 7" in card.locator(".source").inner_text()
        assert "not a medical device" in card.locator(".source").inner_text()
        # The picture itself, and no heat map where the model gives none.
        assert card.locator("img").evaluate("image => image.naturalWidth") == 120
        for part in (".heat", ".heat-tools", ".explain"):
            assert card.locator(part).is_hidden()
    assert opened.complaints == []


REJECTED = {
    "empty.png": (b"", "empty"),
    "page.png": (b"<html>" * 20, "not a JPEG or PNG"),
    "film.dcm": (bytes(128) + b"DICM" + bytes(50), "pneumo predict takes it"),
    "half.png": (b"\x89PNG\r\n\x1a\n", "cut off before its end (no end of image)."),
    "huge.png": (png_with("POSITIVE") + bytes(1 << 20), "larger than the model takes"),
}


def test_rejected_images_say_why(open_page: Opener, standin: StandInServer) -> None:
    opened = open_page()
    opened.choose(*((name, content) for name, (content, _) in REJECTED.items()))
    opened.settle()
    cards = opened.page.locator(".card").all()
    for card, (_, reason) in zip(cards, REJECTED.values(), strict=True):
        assert card.locator(".decision").inner_text() == "Not read"
        assert reason in card.locator(".meaning").inner_text()
        assert card.locator("table").is_hidden()
    assert standin.attempts == len(REJECTED) - 1  # the huge one is not sent


def test_overload_is_retried_and_a_failure_is_shown(
    open_page: Opener, standin: StandInServer
) -> None:
    opened = open_page()
    standin.faults.extend([503, 429, 500])
    opened.choose(("a.png", png_with("POSITIVE")))
    opened.settle()
    card = opened.page.locator(".card")
    assert card.locator(".decision").inner_text() == "No answer"
    assert "fault 500" in card.locator(".meaning").inner_text()
    assert standin.attempts == 3
    card.locator(".again").click()
    opened.page.wait_for_selector(".card.positive")
    assert card.locator(".again").is_hidden()


def test_model_facts(open_page: Opener, standin: StandInServer) -> None:
    """Those that are missing leave no gap."""
    text = open_page().page.locator("aside").inner_text()
    for part in (
        *("demo, version 7", "Xception", "NORMAL, BACTERIA, VIRUS", "Synthetic radiographs"),
        *("abstains between 0.40 and 0.60", "sensitivity 0.95, specificity 0.90"),
        *("up to 1 MiB", "one question"),
    ):
        assert part in text
    standin.about = {"version": "7", "model": "pneumo"}
    opened = open_page()
    opened.choose(("a.png", png_with("POSITIVE")))
    opened.settle()
    text = opened.page.locator("body").inner_text()
    assert "undefined" not in text
    assert "NaN" not in text
    assert opened.complaints == []


def test_nothing_is_asked_of_others(open_page: Opener, standin: StandInServer) -> None:
    opened = open_page()
    opened.choose(("a.png", png_with("POSITIVE")))
    opened.settle()
    assert len(opened.requests) > 5
    for url in opened.requests:
        assert url.startswith((f"{standin.rest}/", f"blob:{standin.rest}/")), url
    # The content security policy forbids any other origin.
    fetched = "fetch('http://127.0.0.1:9/').then(() => 'sent', error => String(error))"
    assert "TypeError" in opened.page.evaluate(fetched)
    assert any("Content Security Policy" in line for line in opened.complaints)
