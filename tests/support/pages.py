"""Reads HTML pages as a browser would."""

import html.parser
from pathlib import Path


class Page(html.parser.HTMLParser):
    """Text of a page, what a browser would fetch, and whether all tags close."""

    void = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.scripts = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [v for k, v in attrs if k in ("src", "href") and v and v[0] != "#"]
        self.scripts += tag == "script"
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: Path | str) -> Page:
    """Parses a page; fails if a tag is left open.

    Args:
      page: a file, or HTML.
    """
    found = Page()
    found.feed(page.read_text() if isinstance(page, Path) else page)
    assert found.open == []
    return found


def check_standalone(page: Path | str) -> Page:
    """Parses a page; fails if it loads anything, runs scripts or has an image without text."""
    found = read(page)
    assert all(link.startswith("data:image/") for link in found.fetched)
    assert all(image.get("alt") for image in found.images)
    assert found.scripts == 0
    return found
