"""Messages name only options that the command has."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.commands.data import ingest
from pipeline.commands.run import command as run

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    {option for parameter in command.params for option in parameter.opts}
    for command in (run, ingest.command)
]
FILES = sorted({*(ROOT / "core/ingest").rglob("*.py")} - {ROOT / "core/ingest/records/beam.py"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_messages_of_ingest_name_options_of_both_commands(file: Path) -> None:
    """Both commands ingest; a text that names a command may have any of its options."""
    tree = ast.parse(file.read_text())
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {
        option
        for text in texts
        if "pneumo " not in text
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
    }
    assert named <= OPTIONS[0] & OPTIONS[1]
