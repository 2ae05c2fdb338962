"""`pneumo config`."""

import json

import click


@click.group(epilog="Example: pneumo config show xception")
def command() -> None:
    """List and show configurations, and describe every key."""


@command.command("list", epilog="Example: pneumo config list")
def list_() -> None:
    """List the shipped configurations: name, backbone, task, purpose."""
    from pipeline.config_file import header, load_config, shipped

    rows = [("NAME", "BACKBONE", "TASK", "PURPOSE")]
    for name, file in shipped().items():
        config = load_config(name)
        purpose = header(file)["for"].partition(". ")[0]
        rows.append((name, config.model.backbone, config.data.task, purpose))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        columns = (text.ljust(width) for text, width in zip(row, widths, strict=False))
        click.echo("  ".join([*columns, row[3]]))


@command.command(epilog="Example: pneumo config show xception --full")
@click.argument("name", metavar="NAME|FILE")
@click.option("--full", is_flag=True, help="Fill in the default of every key.")
def show(name: str, full: bool) -> None:
    """Print a configuration as YAML."""
    from pipeline.config_file import find, load_config

    click.echo(load_config(name).to_yaml() if full else find(name).read_text(), nl=False)


@command.command(epilog="Example: pneumo config schema > pneumo.schema.json")
def schema() -> None:
    """Print the JSON schema of a configuration file."""
    from pipeline.config import Config

    click.echo(json.dumps(Config.model_json_schema(), indent=1))


@command.command(epilog="Example: pneumo config reference > configuration.md")
def reference() -> None:
    """Print the reference of all keys as Markdown."""
    from pipeline.config_reference import markdown

    click.echo(markdown(), nl=False)
