"""Layout, contrast and names of the page."""

from collections.abc import Callable

import pytest

from tests.serving.ui.browser_page import HEADLINES, HEAT_MAP, PHONE, BrowserPage, png_with
from tests.support.stand_ins.model_server import StandInServer

Opener = Callable[..., BrowserPage]


def test_page_fits_and_the_notice_stays_visible(open_page: Opener) -> None:
    ui = open_page()
    page = ui.page
    name = "a-very-long-name-without-any-space-" * 4 + ".png"
    ui.choose_files((name, png_with("REFER")), ("b.png", png_with("POSITIVE")), ("c", b""))
    ui.wait_for_results()
    for size in (PHONE, {"width": 320, "height": 600}, {"width": 1280, "height": 800}):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        for at in (0, 300, 100_000):
            page.evaluate(f"window.scrollTo(0, {at})")
            box = page.locator("#notice").bounding_box()
            assert box["y"] == pytest.approx(0, abs=1)
        assert "not a medical device" in page.locator("#notice").inner_text()
        # Touch targets are at least 44 pixels wide and high.
        for element in page.locator("button:visible, select, #drop label").all():
            box = element.bounding_box()
            assert min(box["width"], box["height"]) >= 43, element.inner_text()


def test_contrast_of_all_text(open_page: Opener) -> None:
    """Web Content Accessibility Guidelines 2.2, 1.4.3: at least 4.5 to 1."""
    ui = open_page()
    page = ui.page
    ui.choose_files(*((f"{kind}.png", png_with(kind)) for kind in HEADLINES), ("broken.png", b"x"))
    ui.wait_for_results()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)  # colors fade
        assert ui.low_contrast() == []
    # Check that the measurement can fail.
    page.evaluate(
        "document.querySelector('h1').style.color = getComputedStyle(document.body).backgroundColor"
    )
    assert len(ui.low_contrast()) == 1


def test_controls_and_images_have_names(open_page: Opener, standin: StandInServer) -> None:
    standin.extra["heatmap"] = HEAT_MAP
    ui = open_page()
    ui.choose_files(("a.png", png_with("POSITIVE")), ("b.png", png_with("REFER")))
    ui.wait_for_results()
    page = ui.page
    assert page.evaluate("document.documentElement.lang") == "en"
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('input, select, button, img, [role=img]')]
          .filter((e) => e.checkVisibility())
          .filter((e) => !(e.alt || e.getAttribute('aria-label') || e.innerText
            || [...(e.labels ?? [])].some((l) => l.innerText.trim())))
          .map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    assert page.locator("main").count() == page.locator("h1").count() == 1
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(identifiers) == len(set(identifiers))
