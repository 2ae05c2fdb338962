"""Command-line options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

config_option = click.option(
    "--config",
    "source",
    default="inceptionv3",
    show_default=True,
    metavar="NAME|FILE",
    help="A shipped configuration or a YAML file.",
)
weights_option = click.option(
    "--weights",
    type=click.Path(path_type=Path),
    default=None,
    help="Weight file, or folder of weight files. [env: PNEUMO_WEIGHTS]",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a configuration key; may be repeated.",
)
beam_arg_option = click.option(
    "--beam-arg",
    "beam_args",
    multiple=True,
    metavar="ARG",
    help="Passed to Beam, e.g. --direct_num_workers=4; may be repeated.",
)


def data_option(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns the option `--data` for a folder of images or records."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        envvar="PNEUMO_DATA",
        required=required,
        help="Folder of images, or of records. [env: PNEUMO_DATA]",
    )
