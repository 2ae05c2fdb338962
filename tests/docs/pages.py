"""The pages of the documentation, and what they contain."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from pipeline.code_keys import ROOT

PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    ROOT / "serving" / "deploy" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"^(?:\$ )?(?:\w+=\S+ )*(?:\S*/)?pneumo (?=[a-z-]|\Z)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Returns the text of a page without code blocks."""
    return FENCE.sub("", page.read_text())


def code_lines(page: Path) -> Iterator[str]:
    """Yields the lines of code blocks, continuation lines joined, and inline code."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        yield from re.sub(r"\\\n\s*", "", match[3]).splitlines()
    yield from CODE.findall(FENCE.sub("", text))


def commands(page: Path) -> Iterator[list[str]]:
    """Yields the arguments of every `pneumo` command of a page, without "pneumo"."""
    for line in code_lines(page):
        line = line.strip().removeprefix("- run: ")
        if match := COMMAND.match(line):
            arguments = shlex.split(line[match.end() :].split("; ")[0], comments=True)
            for stop in (">", "|", "&&", "&", "..."):
                if stop in arguments:
                    arguments = arguments[: arguments.index(stop)]
            yield arguments
