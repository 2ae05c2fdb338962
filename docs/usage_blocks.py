"""Griffe extension: shows the section "Usage:" of a docstring as a block of Python."""

import re
import textwrap
from typing import Any

import griffe

USAGE = re.compile(r"^Usage:\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)


class UsageBlocks(griffe.Extension):
    """Puts fences around the lines of a section "Usage:"."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = USAGE.sub(
                lambda match: f"```python\n{textwrap.dedent(match[1]).strip()}\n```\n\n",
                obj.docstring.value,
            )
