"""Heat maps and boxes on the page."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.serving.ui.browser_page import HEAT_MAP, PHONE, BrowserPage, png_with
from tests.support.stand_ins.model_server import StandInServer

Opener = Callable[..., BrowserPage]


BOXES = [[20.0, 30.0, 70.0, 48.0], [70.0, 96.0, 84.0, 119.0], [0.0, 0.0, 0.0, 0.0]]
REGIONS = {"boxes": BOXES, "box_scores": [0.81, 0.4, -1.0]}


def assert_drawn(card: Any) -> None:
    """The heat map covers the picture, and each box lies where it is."""
    image = card.locator("img").bounding_box()
    heat = card.locator(".heat").bounding_box()
    for side, value in image.items():
        assert heat[side] == pytest.approx(value, abs=1)
    scale = image["width"] / card.locator("img").evaluate("i => i.naturalWidth")
    drawn = card.locator(".boxes .over")
    assert drawn.count() == 2
    for i, (top, left, bottom, right) in enumerate(BOXES[:2]):
        found = drawn.nth(i).evaluate(
            "e => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height] }"
        )
        expected = [image["x"] + scale * left, image["y"] + scale * top]
        expected += [scale * (right - left), scale * (bottom - top)]
        assert found == pytest.approx(expected, abs=2.5)


@pytest.mark.parametrize("by_explain", [False, True])
def test_heat_map_and_boxes(open_page: Opener, standin: StandInServer, by_explain: bool) -> None:
    """In the prediction itself, or by the signature `explain` where the model has it."""
    places = {"heatmap": HEAT_MAP, **REGIONS, "image_width": 120, "image_height": 90}
    if by_explain:
        standin.signatures["explain"] = ["heatmap", "boxes"]
        standin.about["boxes"] = {"kind": "weak"}
    else:
        standin.extra.update(places)
    opened = open_page()
    opened.choose(("a.png", png_with("POSITIVE")))
    opened.settle()
    page, card = opened.page, opened.page.locator(".card")
    if by_explain:
        assert card.locator(".heat").is_hidden()
        assert card.locator(".box-tools").is_hidden()
        standin.extra.update(places)
        card.locator(".explain").focus()
        page.keyboard.press("Enter")
        card.locator(".heat-tools").wait_for()
        assert card.locator(".explain").is_hidden()
        assert card.locator(".heat-on").evaluate("e => e === document.activeElement")
        live = page.locator("#live").inner_text()
        assert "Heat map of a.png is shown. 2 places are marked" in live
        assert "never shown a box" in live
        assert "speaks for BACTERIA or VIRUS" in card.locator(".heat-means").inner_text()
    card.locator(".boxes").wait_for()
    alpha = card.locator(".heat").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, 4, 3).data].filter((_, i) => i % 4 == 3)"
    )
    assert alpha == [0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0]
    assert_drawn(card)
    page.set_viewport_size(PHONE)
    assert_drawn(card)
    told = card.locator(".places li").all_inner_texts()
    assert told[0].startswith("middle left of the picture, 8 % of its area, score 0.81")
    assert told[1].startswith("lower right of the picture, 3 % of its area, score 0.40")
    # The drawing itself is not read out, the list is.
    assert card.locator(".boxes").get_attribute("aria-hidden") == "true"
    card.locator(".heat-on").uncheck()
    assert card.locator(".heat").is_hidden()
    for visible in (False, True):
        card.locator(".boxes-on").focus()
        page.keyboard.press("Space")
        assert card.locator(".boxes").is_visible() == visible
    assert opened.low_contrast() == []
    assert opened.complaints == []


def test_no_place_is_marked(open_page: Opener, standin: StandInServer) -> None:
    standin.extra.update(boxes=[[0, 0, 0, 0]], box_scores=[-1])
    opened = open_page()
    opened.choose(("a.png", png_with("NEGATIVE")))
    opened.settle()
    card = opened.page.locator(".card")
    card.locator(".box-tools").wait_for()
    assert card.locator(".box-tools").inner_text().strip() == "No place is marked."
    assert card.locator(".boxes").is_hidden()


MALFORMED: list[dict[str, Any]] = [
    *({"heatmap": heat} for heat in ([], [[]], [[1, 2], [3]], [["x"]], "map", None, 5)),
    {"boxes": "x", "box_scores": []},
    {"boxes": [[1, 2, 3]], "box_scores": [0.5]},
    {"boxes": [[1, 2, 3, "a"]], "box_scores": [0.5]},
    {"boxes": [[1, 2, 3, 4]], "box_scores": []},
    {"boxes": [[1, 2, 3, 4]]},
]


def test_malformed_heat_maps_and_boxes_are_left_out(
    open_page: Opener, standin: StandInServer
) -> None:
    opened = open_page()
    for i, extra in enumerate(MALFORMED):
        standin.extra = extra
        opened.choose(("a.png", png_with("POSITIVE", skip=i)))
        opened.settle()
        assert opened.page.locator(".decision").inner_text() == "Positive"
        for part in (".heat", ".box-tools", ".boxes"):
            assert opened.page.locator(part).is_hidden(), (part, extra)
        opened.page.click("#clear")
    assert opened.complaints == []
