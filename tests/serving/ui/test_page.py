"""The page in a real browser."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.serving.standin import Standin, row_of
from tests.serving.ui.opened import PHONE, Opened, png_with

Opener = Callable[..., Opened]
HEADLINES = {
    "POSITIVE": "Positive",
    "NEGATIVE": "Negative",
    "REFER": "Abstained: a person must read it",
}


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


def test_nothing_is_asked_of_others(open_page: Opener, standin: Standin) -> None:
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


REJECTED = {
    "empty.png": (b"", "empty"),
    "page.png": (b"<html>" * 20, "not a JPEG or PNG"),
    "film.dcm": (bytes(128) + b"DICM" + bytes(50), "pneumo predict takes it"),
    "half.png": (b"\x89PNG\r\n\x1a\n", "cut off before its end (no end of image)."),
    "huge.png": (png_with("POSITIVE") + bytes(1 << 20), "larger than the model takes"),
}


def test_rejected_images_say_why(open_page: Opener, standin: Standin) -> None:
    opened = open_page()
    opened.choose(*((name, content) for name, (content, _) in REJECTED.items()))
    opened.settle()
    cards = opened.page.locator(".card").all()
    for card, (_, reason) in zip(cards, REJECTED.values(), strict=True):
        assert card.locator(".decision").inner_text() == "Not read"
        assert reason in card.locator(".meaning").inner_text()
        assert card.locator("table").is_hidden()
    assert standin.attempts == len(REJECTED) - 1  # the huge one is not sent


def test_many_files_are_told_and_ordered(open_page: Opener, standin: Standin) -> None:
    opened = open_page()
    kinds = ["NEGATIVE", "POSITIVE", "REFER", "POSITIVE", "NEGATIVE"]
    files = [(f"{i}.png", png_with(kind, skip=i)) for i, kind in enumerate(kinds)]
    opened.choose(*files, ("broken.png", b"x" * 90))
    opened.settle()
    page = opened.page
    live = page.locator("#live")
    assert live.inner_text() == "6 images: 2 positive, 2 negative, 1 abstained, 1 not read"
    assert live.get_attribute("aria-live") == "polite"
    names = [name for name, _ in files]
    assert page.locator(".card h3").all_inner_texts() == [*names, "broken.png"]
    page.select_option("#order", "worklist")
    scored = sorted(
        (file for file, kind in zip(files, kinds, strict=True) if kind != "REFER"),
        key=lambda file: -row_of(file[1])["score"],
    )
    expected = ["2.png", *(name for name, _ in scored), "broken.png"]
    assert page.locator(".card h3").all_inner_texts() == expected
    assert standin.busiest <= 2
    page.click("#clear")
    assert page.locator(".card").count() == 0
    assert page.evaluate("document.activeElement.id") == "files"


def test_by_keyboard_alone(open_page: Opener) -> None:
    opened = open_page()
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    # The field itself is not seen; its label shows where the focus is.
    outline = page.locator("label[for=files]").evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    for _ in range(200):
        if not opened.choosers:
            page.wait_for_timeout(50)
    given = [
        {"name": f"{kind}.png", "mimeType": "image/png", "buffer": png_with(kind)}
        for kind in ("POSITIVE", "NEGATIVE")
    ]
    opened.choosers[0].set_files(given)
    opened.settle()
    seen = []
    for _ in range(4):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert seen[:2] == ["order", "clear"]
    assert "Remove POSITIVE.png" in seen[2]
    assert "Remove NEGATIVE.png" in seen[3]
    page.keyboard.press("Enter")
    assert page.locator(".card h3").all_inner_texts() == ["POSITIVE.png"]
    assert "Remove POSITIVE.png" in page.evaluate("document.activeElement.innerText")


def test_dropping(open_page: Opener) -> None:
    opened = open_page()
    page = opened.page
    carried = page.evaluate_handle(
        """content => {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
            return carried;
        }""",
        base64.b64encode(png_with("POSITIVE")).decode(),
    )
    drop = page.locator("#drop")
    drop.dispatch_event("dragenter", {"dataTransfer": carried})
    assert "over" in drop.get_attribute("class")
    drop.dispatch_event("drop", {"dataTransfer": carried})
    assert "over" not in drop.get_attribute("class")
    opened.settle()
    assert page.locator(".card h3").inner_text() == "dropped.png"
    # A text that is dragged over is no file.
    page.locator("body").dispatch_event(
        "dragenter", {"dataTransfer": page.evaluate_handle("new DataTransfer()")}
    )
    assert "over" not in (drop.get_attribute("class") or "")


HEAT = [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
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
def test_heat_map_and_boxes(open_page: Opener, standin: Standin, by_explain: bool) -> None:
    """In the prediction itself, or by the signature `explain` where the model has it."""
    places = {"heatmap": HEAT, **REGIONS, "image_width": 120, "image_height": 90}
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
    assert page.evaluate(CONTRAST) == []
    assert opened.complaints == []


def test_no_place_is_marked(open_page: Opener, standin: Standin) -> None:
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


def test_malformed_heat_maps_and_boxes_are_left_out(open_page: Opener, standin: Standin) -> None:
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


def test_overload_is_retried_and_a_failure_is_shown(open_page: Opener, standin: Standin) -> None:
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


def test_model_facts(open_page: Opener, standin: Standin) -> None:
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


def test_it_fits_and_the_notice_stays(open_page: Opener) -> None:
    opened = open_page()
    page = opened.page
    name = "a-very-long-name-without-any-space-" * 4 + ".png"
    opened.choose((name, png_with("REFER")), ("b.png", png_with("POSITIVE")), ("c", b""))
    opened.settle()
    for size in (PHONE, {"width": 320, "height": 600}, {"width": 1280, "height": 800}):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        for at in (0, 300, 100_000):
            page.evaluate(f"window.scrollTo(0, {at})")
            box = page.locator("#notice").bounding_box()
            assert box["y"] == pytest.approx(0, abs=1)
        assert "not a medical device" in page.locator("#notice").inner_text()
        # Fingers: nothing to press is smaller than 44 pixels.
        for element in page.locator("button:visible, select, #drop label").all():
            box = element.bounding_box()
            assert min(box["width"], box["height"]) >= 43, element.inner_text()


# The labels of the scale stand above and below it, on the card. Numbers drawn on a picture have a
# dark edge of their own, and stand in the list as well.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    const colour = parse(getComputedStyle(e).backgroundColor);
    return (colour[3] ?? 1) > 0.5 ? colour : ground(e.parentElement);
  };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest('.unseen, noscript, svg')) continue;
    const behind = e.closest('.scale')?.parentElement ?? e;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(behind))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)} ${ratio}`);
  }
  return low;
}"""


def test_contrast_of_all_text(open_page: Opener) -> None:
    """Web Content Accessibility Guidelines 2.2, 1.4.3: at least 4.5 to 1."""
    opened = open_page()
    page = opened.page
    opened.choose(*((f"{kind}.png", png_with(kind)) for kind in HEADLINES), ("broken.png", b"x"))
    opened.settle()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(500)  # colours fade
        assert page.evaluate(CONTRAST) == []
    # The measure itself can fail.
    page.evaluate(
        "document.querySelector('h1').style.color = getComputedStyle(document.body).backgroundColor"
    )
    assert len(page.evaluate(CONTRAST)) == 1


def test_everything_has_a_name(open_page: Opener, standin: Standin) -> None:
    standin.extra["heatmap"] = HEAT
    opened = open_page()
    opened.choose(("a.png", png_with("POSITIVE")), ("b.png", png_with("REFER")))
    opened.settle()
    page = opened.page
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
