"""Every command in the documentation exists, with its options and values."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from pipeline.cli import pneumo
from pipeline.code_keys import ROOT
from tests.docs.pages import PAGES, code_lines, commands, name

COMMANDS = [
    pytest.param(arguments, id=f"{name(page)}: {' '.join(arguments)}"[:100])
    for page in PAGES
    for arguments in commands(page)
    if arguments[0] not in ("COMMAND", "--help", "--version")
]


def _parse(arguments: list[str]) -> click.Context:
    """Resolves subcommands and parses options as click does; paths need not exist."""
    command: click.Command = pneumo
    context = click.Context(pneumo, info_name="pneumo")
    while isinstance(command, click.Group):
        child = command.get_command(context, arguments[0])
        assert child is not None, f"there is no command {arguments[0]!r}"
        command, arguments = child, arguments[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    if "--" in arguments:
        arguments = arguments[: arguments.index("--")]
    for parameter in command.params:
        parameter.required = parameter.required and bool(arguments)
        if isinstance(parameter.type, click.Path):
            parameter.type = click.STRING
    with context:
        command.parse_args(context, list(arguments))
    return context


def test_commands_were_extracted() -> None:
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("arguments", COMMANDS)
def test_command_and_options_exist(arguments: list[str]) -> None:
    from pipeline.config_file import load_config

    context = _parse(arguments)
    overrides = context.params.get("overrides") or ()
    names = context.params.get("source") or context.params.get("config") or ()
    shipped = {file.stem for file in (ROOT / "pipeline" / "configs").glob("*.yaml")}
    for config in [names] if isinstance(names, str) else names:
        if config in shipped:
            load_config(config, overrides)
        else:
            assert config.endswith(".yaml") or config.isupper(), config


def _targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    used = {
        match[1]
        for line in code_lines(page)
        if (match := re.match(r"(?:\w+=\S+ )*make ([a-z-]+)", line.strip()))
    }
    assert used <= _targets()


def test_the_command_line_reference_covers_every_command(tmp_path: Path) -> None:
    import sys

    script = ROOT / "docs" / "generate.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, cwd=ROOT)
    text = (tmp_path / "cli.md").read_text()
    for command in pneumo.list_commands(click.Context(pneumo)):
        assert f"## pneumo {command}\n" in text
    assert "--set KEY=VALUE" in text
    assert "training.fine_tune" in (tmp_path / "configuration.md").read_text()
