"""Choosing, dropping, ordering and removing files on the page."""

import base64
from collections.abc import Callable

from tests.serving.ui.browser_page import BrowserPage, png_with
from tests.support.stand_ins.model_server import StandInServer, row_of

Opener = Callable[..., BrowserPage]


def test_many_files_are_summarized_and_sorted(open_page: Opener, standin: StandInServer) -> None:
    ui = open_page()
    kinds = ["NEGATIVE", "POSITIVE", "REFER", "POSITIVE", "NEGATIVE"]
    files = [(f"{i}.png", png_with(kind, skip=i)) for i, kind in enumerate(kinds)]
    ui.choose_files(*files, ("broken.png", b"x" * 90))
    ui.wait_for_results()
    page = ui.page
    live = page.locator("#live")
    assert live.inner_text() == "6 images: 2 positive, 2 negative, 1 referred, 1 rejected"
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


def test_keyboard(open_page: Opener) -> None:
    ui = open_page()
    page = ui.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    # The input is hidden; its label shows the focus.
    outline = page.locator("label[for=files]").evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    for _ in range(200):
        if not ui.file_choosers:
            page.wait_for_timeout(50)
    payloads = [
        {"name": f"{kind}.png", "mimeType": "image/png", "buffer": png_with(kind)}
        for kind in ("POSITIVE", "NEGATIVE")
    ]
    ui.file_choosers[0].set_files(payloads)
    ui.wait_for_results()
    focused = []
    for _ in range(4):
        page.keyboard.press("Tab")
        focused.append(
            page.evaluate("document.activeElement.id || document.activeElement.innerText")
        )
    assert focused[:2] == ["order", "clear"]
    assert "Remove POSITIVE.png" in focused[2]
    assert "Remove NEGATIVE.png" in focused[3]
    page.keyboard.press("Enter")
    assert page.locator(".card h3").all_inner_texts() == ["POSITIVE.png"]
    assert "Remove POSITIVE.png" in page.evaluate("document.activeElement.innerText")


def test_drag_and_drop(open_page: Opener) -> None:
    ui = open_page()
    page = ui.page
    transfer = page.evaluate_handle(
        """content => {
            const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
            return transfer;
        }""",
        base64.b64encode(png_with("POSITIVE")).decode(),
    )
    drop = page.locator("#drop")
    drop.dispatch_event("dragenter", {"dataTransfer": transfer})
    assert "over" in drop.get_attribute("class")
    drop.dispatch_event("drop", {"dataTransfer": transfer})
    assert "over" not in drop.get_attribute("class")
    ui.wait_for_results()
    assert page.locator(".card h3").inner_text() == "dropped.png"
    # Dragged text is not a file.
    page.locator("body").dispatch_event(
        "dragenter", {"dataTransfer": page.evaluate_handle("new DataTransfer()")}
    )
    assert "over" not in (drop.get_attribute("class") or "")
