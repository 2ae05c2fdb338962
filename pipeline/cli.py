"""The command `pneumo`. Each subcommand is a module of pipeline.commands, loaded on first use."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

# Name -> the line that `pneumo --help` shows. The modules import nothing heavy at their top.
COMMANDS = {
    "demo": "Run the whole pipeline on synthetic radiographs: data, run, report, prediction.",
    "run": "Run the pipeline on a folder of chest X-rays.",
    "compare": "Run several configurations on the same data and compare them on one page.",
    "predict": "Predict images with a pushed model.",
    "serve": "Serve a pushed model over REST and gRPC; research software, not a medical device.",
    "monitor": "Compare the inputs of a server with the training data of its model.",
    "watch": "Start a run when new images land or the monitor reports drift.",
    "compile": "Compile the pipeline for Kubeflow Pipelines or Vertex AI.",
    "submit": "Submit a compiled pipeline to Kubeflow Pipelines or Vertex AI.",
    "config": "List and show configurations, and describe every key.",
    "ingest": "Check images, split them by patient and write TFRecord shards.",
    "phantom": "Write a data set of synthetic radiographs.",
    "download": "Download a public data set (needs network and credentials).",
}
_DATA = ("ingest", "phantom", "download")  # in pipeline.commands.data


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        folder = "pipeline.commands.data" if cmd_name in _DATA else "pipeline.commands"
        return importlib.import_module(f"{folder}.{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from schema.errors import unknown

            ctx.fail(unknown("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    epilog="Research software, not a medical device. `pneumo COMMAND --help` shows an example.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="pneumo-tfx", prog_name="pneumo")
def pneumo() -> None:
    """PneumoTFX: train, evaluate and serve a classifier of pneumonia on chest X-rays."""
    from schema.errors import PneumoError

    try:
        Path.home()
    except RuntimeError:  # Keras, matplotlib and Jupyter fail without it, each in another place
        raise PneumoError(
            "there is no home folder: HOME is not set and the user has no entry in passwd; set "
            "HOME to a folder that can be written"
        ) from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; prints errors that the user can fix as one line."""
    from schema.errors import PneumoError
    from schema.ports import bypass_proxy_for_loopback

    bypass_proxy_for_loopback()
    try:
        pneumo.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except PneumoError as error:
        _stop(f"pneumo: {error}", 2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _stop("pneumo: interrupted; run the same command again to resume", 130)
    except BrokenPipeError:
        # The reader of the pipe has exited, such as `head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)


def _stop(line: str, code: int) -> Any:
    print(line, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
