"""The page and its numbers."""

import datetime
import json
from pathlib import Path

from components.monitor.figures import drawn
from components.monitor.watch import Watched
from components.report.data import DISCLAIMER
from components.report.drawing import data_uri
from components.report.templating import environment
from schema.files import write_atomically

EXPLAINED = {
    "brightness": "Mean gray level. Moves with the detector, its processing and the window.",
    "height": "Moves with the device and with what is done on the way, such as resizing.",
    "width": "See height.",
    "score": "The model's probability. Moves with the inputs, and with who is examined.",
    "decision": "Shares of the decisions. They move with how common the disease is.",
    "status": "Rejected images, by reason.",
}


def write_page(watched: Watched, folder: Path) -> tuple[Path, Path]:
    """Writes `monitor.html` and `monitor.json`, each whole or not at all.

    Returns:
      paths of the page and of the numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, numbers = folder / "monitor.html", folder / "monitor.json"
    write_atomically(numbers, json.dumps(watched.to_dict(), indent=1, allow_nan=False) + "\n")
    write_atomically(page, render(watched))
    return page, numbers


def render(watched: Watched) -> str:
    """The page as text."""
    pages = environment("components.monitor")
    pictures = {
        name: data_uri(content, "png")
        for name, content in drawn(watched.statistics, watched.embeddings).items()
    }
    return pages.get_template("monitor.html.j2").render(
        watched=watched,
        numbers=watched.to_dict(),
        pictures=pictures,
        explained=EXPLAINED,
        period=period(watched.times),
        disclaimer=DISCLAIMER,
    )


def period(times: tuple[float, float] | None) -> str:
    """First and last time in UTC; empty where they are not known."""
    if times is None:
        return ""
    first, last = (
        datetime.datetime.fromtimestamp(t, datetime.UTC).strftime("%Y-%m-%d %H:%M") for t in times
    )
    return f"{first} to {last} UTC"
