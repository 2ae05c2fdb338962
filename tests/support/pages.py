"""Reads HTML pages as a browser would."""

import html.parser
from pathlib import Path


class Page(html.parser.HTMLParser):
    """Text of the page, what a browser would fetch, and whether tags close."""

    void = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(file: Path) -> Page:
    page = Page()
    page.feed(file.read_text())
    assert page.open == []
    return page


class Links(html.parser.HTMLParser):
    """Collects what a browser would fetch, and checks that tags close."""

    void = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.fetched += [v for k, v in attrs if k in ("src", "href") and v]
        self.scripts += tag == "script"
        if tag == "img":
            self.images.append(values)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text())
    assert links.open == []
    return links
