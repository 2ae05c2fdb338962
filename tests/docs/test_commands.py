"""Every command in the documentation exists, with its options and values."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from core.patients.naming_rules import RULES
from pipeline.cli import pneumo
from pipeline.code_keys import ROOT
from tests.docs.pages import PAGES, blocks, commands, inline, name

# A command in running text may leave out what is required.
COMMANDS = [
    pytest.param(arguments, complete, id=f"{name(page)}: {' '.join(arguments)}"[:100])
    for page in PAGES
    for lines, complete in ((blocks(page), True), (inline(page), False))
    for arguments in commands(lines)
]


def _parse(arguments: list[str], complete: bool) -> click.Context:
    """Resolves subcommands and parses options as click does; paths need not exist."""
    command: click.Command = pneumo
    context = click.Context(pneumo, info_name="pneumo")
    while isinstance(command, click.Group):
        child = command.get_command(context, arguments[0])
        assert child is not None, f"there is no command {arguments[0]!r}"
        command, arguments = child, arguments[1:]
        context = click.Context(command, info_name=command.name, parent=context)
        if not arguments and isinstance(command, click.Group):
            return context
    command = copy.copy(command)
    command.params = [_relaxed(parameter, complete) for parameter in command.params]
    with context:
        command.parse_args(context, list(arguments))
    context.command = command
    return context


def _relaxed(parameter: click.Parameter, complete: bool) -> click.Parameter:
    parameter = copy.copy(parameter)
    parameter.required = parameter.required and complete
    if isinstance(parameter.type, click.Path):
        parameter.type = click.STRING
    return parameter


def _configurations(context: click.Context) -> list[str]:
    for parameter in context.command.params:
        if "--config" in parameter.opts or parameter.name == "sources":
            value = context.params[parameter.name or ""] or ()
            return [value] if isinstance(value, str) else list(value)
    return []


def test_commands_were_extracted() -> None:
    assert len(COMMANDS) > 60


@pytest.mark.parametrize(("arguments", "complete"), COMMANDS)
def test_command_and_options_exist(arguments: list[str], complete: bool) -> None:
    from pipeline.config_file import load_config

    context = _parse(arguments, complete)
    shipped = {file.stem for file in (ROOT / "pipeline" / "configs").glob("*.yaml")}
    overrides = [text for text in context.params.get("overrides") or () if "=" in text]
    for config in _configurations(context):
        if not config.endswith(".yaml") and config not in ("NAME", "FILE"):
            assert config in shipped
            load_config(config, overrides)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    used = (
        re.match(r"(?:\w+=\S+ )*make ([a-z-]+)", line.strip())
        for lines in (blocks(page), inline(page))
        for line in lines
    )
    assert {match[1] for match in used if match} <= set(targets)


def test_the_references_cover_every_command_and_section(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "docs/generate.py", tmp_path], check=True, cwd=ROOT)
    text = (tmp_path / "cli.md").read_text()
    for command in pneumo.list_commands(click.Context(pneumo)):
        assert f"## pneumo {command}\n" in text
    assert "`--set KEY=VALUE`" in text
    assert "training.fine_tune" in (tmp_path / "configuration.md").read_text()
    table = (tmp_path / "patients.md").read_text()
    assert len(table.splitlines()) == 2 + len(RULES)
    assert all(f"[{rule.dataset}]({rule.source})" in table for rule in RULES)
