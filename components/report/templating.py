"""How the pages are made from their templates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def environment(package: str) -> "jinja2.Environment":
    """Strict and escaping; the style that all pages share (common.css.j2) is found from each.

    Args:
      package: whose folder `templates` holds the page.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package), jinja2.PackageLoader("components.report")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
