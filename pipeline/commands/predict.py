"""`pneumo predict`."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from serving.predict import Prediction


@click.command(epilog="Example: pneumo predict --model pneumo_runs/demo/serving image.jpeg folder/")
@click.option("--model", "folder", type=click.Path(path_type=Path), required=True,
              help="A SavedModel, or a folder of versions (the newest is taken).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
@click.option("--batch-size", default=16, show_default=True, help="Images in one call.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(folder: Path, as_json: bool, batch_size: int, images: tuple[Path, ...]) -> None:
    """Ask a pushed model about images.

    IMAGES are JPEG or PNG files, or folders of such. A file that cannot be read is answered with an
    error of its own; the others are answered all the same. Exit status 1 if there was one.
    """
    from serving.predict import image_files, load_model, predict_files

    files = image_files(images)
    answers = predict_files(load_model(folder), files, batch_size)
    failed = print_json(answers) if as_json else print_table(answers)
    sys.exit(1 if failed else 0)


def print_json(answers: "Iterable[Prediction]") -> int:
    """Prints a line of JSON for each answer as it comes; returns how many failed."""
    failed = 0
    for answer in answers:
        failed += bool(answer.error)
        click.echo(json.dumps(answer.to_dict()))
    return failed


def print_table(answers: "Iterable[Prediction]") -> int:
    """Prints a table; returns how many failed."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(caption="Research software, not a medical device.", caption_justify="left")
    columns: list[str] = []
    failed = 0
    for answer in answers:
        if not columns and answer.probabilities:
            columns = list(answer.probabilities)
        if answer.error:
            failed += 1
            cells = ["-"] * (1 + len(columns))
            cells[0] = f"error: {answer.error}"
        else:
            cells = [answer.predicted, *(f"{p:.4f}" for p in answer.probabilities.values())]
        if not table.columns:
            table.add_column("image", overflow="fold")
            table.add_column("predicted", overflow="fold")
            for name in columns:
                table.add_column(f"p({name})", justify="right")
        table.add_row(Text(answer.file), *(Text(cell) for cell in cells))
    Console(highlight=False).print(table)
    return failed
