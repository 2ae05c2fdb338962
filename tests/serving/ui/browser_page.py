"""The web page in a real browser."""

import io
from typing import Any

import numpy as np
from PIL import Image

from tests.support.stand_ins.model_server import StandInServer, row_of

PHONE = {"width": 390, "height": 844}
HEADLINES = {
    "POSITIVE": "Positive",
    "NEGATIVE": "Negative",
    "REFER": "Referred: needs a human reader",
}
HEAT_MAP = [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
# Labels of the scale are placed above and below it, on the card. Numbers over an image have a dark
# outline and are repeated in the list, so they are not checked.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    const color = parse(getComputedStyle(e).backgroundColor);
    return (color[3] ?? 1) > 0.5 ? color : ground(e.parentElement);
  };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest('.visually-hidden, noscript, svg')) continue;
    const behind = e.closest('.scale')?.parentElement ?? e;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(behind))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)} ${ratio}`);
  }
  return low;
}"""


class BrowserPage:
    """The web page with a stand-in server; records requests and errors of the browser."""

    def __init__(self, browser: Any, standin: StandInServer, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.file_choosers: list[Any] = []
        # Registered at the start: otherwise the first dialog may open unnoticed.
        self.page.on("filechooser", self._chooser)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on(
            "console",
            lambda line: self.errors.append(line.text) if line.type == "error" else None,
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{standin.rest}/ui/")
        self.page.get_by_text("version 7").first.wait_for()

    def _chooser(self, chooser: Any) -> None:
        self.file_choosers.append(chooser)

    def choose_files(self, *files: tuple[str, bytes]) -> None:
        payloads = [{"name": n, "mimeType": "image/png", "buffer": c} for n, c in files]
        self.page.set_input_files("#files", payloads)

    def wait_for_results(self) -> None:
        """Waits until every card has a result."""
        self.page.wait_for_selector(".card")
        self.page.wait_for_selector(".card.waiting", state="detached")

    def low_contrast(self) -> Any:
        """Returns the elements whose text has a contrast ratio below 4.5."""
        return self.page.evaluate(CONTRAST)


def png(seed: int, width: int = 120, height: int = 90) -> bytes:
    """Returns a PNG with two dark areas."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = 200 - 150 * np.exp(-(((x - width * 0.3) / 18) ** 2 + ((y - height / 2) / 30) ** 2))
    pixels -= 150 * np.exp(-(((x - width * 0.7) / 18) ** 2 + ((y - height / 2) / 30) ** 2))
    pixels[0, 0] = seed % 256
    pixels[0, 1] = seed // 256
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def png_with(decision: str, skip: int = 0) -> bytes:
    """Returns an image for which the stand-in server returns this decision."""
    images = (png(seed) for seed in range(2000))
    matching = (content for content in images if row_of(content)["decision"] == decision)
    for _ in range(skip):
        next(matching)
    return next(matching)
