"""Choosing, dropping, ordering and removing files on the page."""

import base64
from collections.abc import Callable

from tests.serving.ui.browser_page import BrowserPage, png_with
from tests.support.stand_ins.model_server import StandInServer, row_of

Opener = Callable[..., BrowserPage]


def test_many_files_are_told_and_ordered(open_page: Opener, standin: StandInServer) -> None:
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
