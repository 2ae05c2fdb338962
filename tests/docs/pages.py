"""The pages of the documentation, and what they contain."""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.code_keys import ROOT

# Pages that describe the present state. CHANGELOG.md also names what was removed.
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
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


def blocks(page: Path) -> Iterator[str]:
    """Yields the lines of code blocks, continuation lines joined."""
    for match in FENCE.finditer(page.read_text()):
        yield from re.sub(r"\\\n\s*", "", match[3]).splitlines()


def inline(page: Path) -> Iterator[str]:
    """Yields the inline code."""
    yield from CODE.findall(prose(page))


def commands(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yields the arguments of every `pneumo` command, without "pneumo"."""
    for line in lines:
        if match := COMMAND.match(line.strip()):
            text = line.strip()[match.end() :].split("; ")[0]
            arguments = shlex.split(text, comments=True)
            for stop in (">", "|", "&&", "&", "..."):
                if stop in arguments:
                    arguments = arguments[: arguments.index(stop)]
            if arguments[0] not in ("COMMAND", "--help", "--version"):
                yield arguments
