"""Writes the pages of the reference that come from code, for `make docs`.

    python docs/generate.py build/reference

`cli.md` is the command line as click knows it, `configuration.md` the output of
`pneumo config reference`, `patients.md` the naming rules of public data sets.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from core.patients.naming_rules import RULES, patient_of_path
from pipeline.cli import pneumo
from pipeline.config_reference import markdown


def command_line() -> Iterator[str]:
    """Yields the lines of one section for each subcommand."""
    root = click.Context(pneumo, info_name="pneumo")
    for name in pneumo.list_commands(root):
        command = pneumo.get_command(root, name)
        assert command is not None
        yield from _section(click.Context(command, info_name=name, parent=root), 2)


def _section(context: click.Context, level: int) -> Iterator[str]:
    command = context.command
    yield f"{'#' * level} {context.command_path}"
    help_text = inspect.cleandoc((command.help or "").replace("\b", ""))
    yield from ("", re.sub(r"(?<=\S)\n(?=\S)", " ", help_text))
    yield from (
        "",
        "```text",
        f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}",
        "```",
    )
    rows = [row for row in (_row(p, context) for p in command.get_params(context)) if row]
    if rows:
        yield from ("", "| option | meaning |", "|---|---|", *rows)
    if command.epilog:
        yield from ("", re.sub(r"(Example: )(.*)", r"\1`\2`", " ".join(command.epilog.split())))
    yield ""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _section(click.Context(child, info_name=name, parent=context), level + 1)


def _row(parameter: click.Parameter, context: click.Context) -> str | None:
    record = parameter.get_help_record(context)
    if record is None:  # an argument; the usage line has it
        return None
    names, text = record
    text = re.sub(r"([|<\[\]*_])", r"\\\1", " ".join(text.split()))
    return f"| `{names}` | {text} |"


def naming_rules() -> Iterator[str]:
    """Yields the lines of the table of naming rules."""
    yield from ("| data set | example | key | patient | how |", "|---|---|---|---|---|")
    for rule in RULES:
        named = patient_of_path(rule.examples[0])
        key = f"`{named.key}`" if named else "the path"
        known = {"patient": "known", "study": "not known, a study", "image": "not known, an image"}
        yield (
            f"| [{rule.dataset}]({rule.source}) | {'<br>'.join(f'`{e}`' for e in rule.examples)} "
            f"| {key} | {known[rule.identity]} | {rule.meaning} |"
        )


def main(folder: Path) -> None:
    """Writes the files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cli.md").write_text("\n".join(command_line()) + "\n")
    (folder / "patients.md").write_text("\n".join(naming_rules()) + "\n")
    _, _, tables = markdown().partition("\n\n")  # the page has a heading of its own
    (folder / "configuration.md").write_text(tables)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
