"""Command-line options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

EXIT_LEAK: Final = 3

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

manifest_option = click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    default=None,
    help="CSV with the columns path, label and optionally patient, split, source.",
)
boxes_option = click.option(
    "--boxes",
    type=click.Path(path_type=Path),
    default=None,
    help="CSV of opacities: filename and xmin, ymin, xmax, ymax or x, y, width, height, "
    "in pixels. Detected for RSNA and phantoms.",
)
class_map_option = click.option(
    "--class-map",
    "class_map",
    multiple=True,
    metavar="NAME=PATHOGEN",
    callback=lambda _context, _parameter, pairs: _class_map(pairs),
    help="Pathogen of a folder, or of a label of the manifest: normal, bacteria, virus, unknown or "
    "other; may be repeated.",
)


def on_leak_option(default: str | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns the option `--on-leak`; None leaves the choice to the configuration."""
    return click.option(
        "--on-leak",
        type=click.Choice(["report", "fail"]),
        default=default,
        show_default=default is not None,
        help="What to do if the splits leak.",
    )


def _class_map(pairs: tuple[str, ...]) -> dict[str, str]:
    out = {}
    for pair in pairs:
        name, _, pathogen = pair.rpartition("=")
        if not name:
            raise click.BadParameter(f"{pair!r} is not NAME=PATHOGEN")
        out[name] = pathogen.strip()
    return out


def data_option(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns the option `--data` for a folder of images or records."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        envvar="PNEUMO_DATA",
        required=required,
        help="Folder of images, or of records. [env: PNEUMO_DATA]",
    )
