"""Renders pages from Jinja templates and writes each with its numbers as JSON."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.metrics.registry import metric_name
from core.reporting.format import FILTERS
from core.reporting.notices import DISCLAIMER
from schema.files import write_atomically

if TYPE_CHECKING:
    import jinja2


def environment(**options: Any) -> "jinja2.Environment":
    """Creates the environment of the templates of this package."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("core.reporting"),
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    made.filters |= {**FILTERS, "metric": metric_name}
    return made


def render(template: str, filters: Mapping[str, Any] | None = None, **context: Any) -> str:
    """Renders a page; values are escaped, and an undefined name is an error."""
    import jinja2

    pages = environment(autoescape=True, undefined=jinja2.StrictUndefined)
    pages.filters |= filters or {}
    return pages.get_template(template).render(disclaimer=DISCLAIMER, **context)


def write_page(folder: Path, name: str, numbers: Mapping[str, Any], page: str) -> tuple[Path, Path]:
    """Writes `NAME.html` and `NAME.json`, each atomically.

    Returns:
      paths of the page and of the JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html, data = folder / f"{name}.html", folder / f"{name}.json"
    write_atomically(data, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    write_atomically(html, page)
    return html, data


def data_uri(content: bytes, kind: str = "png") -> str:
    """Encodes an image of a kind, such as png or jpeg, as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
