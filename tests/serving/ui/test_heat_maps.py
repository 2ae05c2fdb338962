"""Heat maps and boxes on the page."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.serving.ui.browser_page import HEAT_MAP, PHONE, BrowserPage, png_with
from tests.support.stand_ins.model_server import StandInServer

Opener = Callable[..., BrowserPage]


BOXES = [[20.0, 30.0, 70.0, 48.0], [70.0, 96.0, 84.0, 119.0], [0.0, 0.0, 0.0, 0.0]]
REGIONS = {"boxes": BOXES, "box_scores": [0.81, 0.4, -1.0]}


def assert_overlays_match_the_image(card: Any) -> None:
    """The heat map covers the image, and each box is at its position."""
    image = card.locator("img").bounding_box()
    heat = card.locator(".heat").bounding_box()
    for side, value in image.items():
        assert heat[side] == pytest.approx(value, abs=1)
    scale = image["width"] / card.locator("img").evaluate("i => i.naturalWidth")
    drawn = card.locator(".boxes .over")
    assert drawn.count() == 2
    for i, (top, left, bottom, right) in enumerate(BOXES[:2]):
        actual = drawn.nth(i).evaluate(
            "e => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height] }"
        )
        expected = [image["x"] + scale * left, image["y"] + scale * top]
        expected += [scale * (right - left), scale * (bottom - top)]
        assert actual == pytest.approx(expected, abs=2.5)


@pytest.mark.parametrize("by_explain", [False, True])
def test_heat_map_and_boxes(open_page: Opener, standin: StandInServer, by_explain: bool) -> None:
    """From the prediction itself, or from the signature `explain`."""
    outputs = {"heatmap": HEAT_MAP, **REGIONS, "image_width": 120, "image_height": 90}
    if by_explain:
        standin.signatures["explain"] = ["heatmap", "boxes"]
        standin.about["boxes"] = {"kind": "weak"}
    else:
        standin.extra.update(outputs)
    ui = open_page()
    ui.choose_files(("a.png", png_with("POSITIVE")))
    ui.wait_for_results()
    page, card = ui.page, ui.page.locator(".card")
    if by_explain:
        assert card.locator(".heat").is_hidden()
        assert card.locator(".box-tools").is_hidden()
        standin.extra.update(outputs)
        card.locator(".explain").focus()
        page.keyboard.press("Enter")
        card.locator(".heat-tools").wait_for()
        assert card.locator(".explain").is_hidden()
        assert card.locator(".heat-on").evaluate("e => e === document.activeElement")
        live = page.locator("#live").inner_text()
        assert "Heat map of a.png is shown. 2 boxes" in live
        assert "trained without boxes" in live
        assert (
            "contribute more to BACTERIA or VIRUS" in card.locator(".heat-explanation").inner_text()
        )
    card.locator(".boxes").wait_for()
    alpha = card.locator(".heat").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, 4, 3).data].filter((_, i) => i % 4 == 3)"
    )
    assert alpha == [0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0]
    assert_overlays_match_the_image(card)
    page.set_viewport_size(PHONE)
    assert_overlays_match_the_image(card)
    descriptions = card.locator(".box-list li").all_inner_texts()
    assert descriptions[0].startswith("middle left of the image, 8 % of its area, score 0.81")
    assert descriptions[1].startswith("lower right of the image, 3 % of its area, score 0.40")
    # Screen readers skip the drawing and read the list.
    assert card.locator(".boxes").get_attribute("aria-hidden") == "true"
    card.locator(".heat-on").uncheck()
    assert card.locator(".heat").is_hidden()
    for visible in (False, True):
        card.locator(".boxes-on").focus()
        page.keyboard.press("Space")
        assert card.locator(".boxes").is_visible() == visible
    assert ui.low_contrast() == []
    assert ui.errors == []


def test_no_boxes(open_page: Opener, standin: StandInServer) -> None:
    standin.extra.update(boxes=[[0, 0, 0, 0]], box_scores=[-1])
    ui = open_page()
    ui.choose_files(("a.png", png_with("NEGATIVE")))
    ui.wait_for_results()
    card = ui.page.locator(".card")
    card.locator(".box-tools").wait_for()
    assert card.locator(".box-tools").inner_text().strip() == "No boxes."
    assert card.locator(".boxes").is_hidden()


MALFORMED: list[dict[str, Any]] = [
    *({"heatmap": heat} for heat in ([], [[]], [[1, 2], [3]], [["x"]], "map", None, 5)),
    {"boxes": "x", "box_scores": []},
    {"boxes": [[1, 2, 3]], "box_scores": [0.5]},
    {"boxes": [[1, 2, 3, "a"]], "box_scores": [0.5]},
    {"boxes": [[1, 2, 3, 4]], "box_scores": []},
    {"boxes": [[1, 2, 3, 4]]},
]


def test_malformed_heat_maps_and_boxes_are_ignored(
    open_page: Opener, standin: StandInServer
) -> None:
    ui = open_page()
    for i, extra in enumerate(MALFORMED):
        standin.extra = extra
        ui.choose_files(("a.png", png_with("POSITIVE", skip=i)))
        ui.wait_for_results()
        assert ui.page.locator(".decision").inner_text() == "Positive"
        for part in (".heat", ".box-tools", ".boxes"):
            assert ui.page.locator(part).is_hidden(), (part, extra)
        ui.page.click("#clear")
    assert ui.errors == []
