"""Prints predictions to the terminal: a table, JSON lines or CSV."""

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby

import click

from serving import NOTICE
from serving.predict.prediction import Prediction
from serving.predict.result_file import CsvFormat
from serving.predict.worklist import urgency, worklist_section

_WORKLIST_TITLES = (
    "Referred: read first",
    "By descending score",
    "Rejected: not read by the model",
)


def print_predictions(
    predictions: Iterable[Prediction],
    form: str,
    classes: Sequence[str],
    *,
    boxes: bool,
    worklist: bool,
) -> None:
    """Prints predictions.

    Args:
      predictions: in the order of the files.
      form: "table", "json" or "csv".
      classes: class names, for the columns of CSV.
      boxes: whether CSV gets a column of boxes.
      worklist: sort by urgency; a table is split into the three lists of the worklist.
    """
    if worklist:
        predictions = sorted(predictions, key=urgency)
    if form == "json":
        for prediction in predictions:
            click.echo(json.dumps(prediction.to_dict()))
    elif form == "csv":
        rows = CsvFormat(list(classes), boxes)
        click.echo(rows.header(), nl=False)
        for prediction in predictions:
            click.echo(rows.encode(prediction), nl=False)
    elif worklist:
        for which, group in groupby(predictions, key=worklist_section):
            print_table(group, _WORKLIST_TITLES[which])
    else:
        print_table(predictions)


def print_table(predictions: Iterable[Prediction], title: str | None = None) -> None:
    """Prints a table of predictions."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", caption=NOTICE, caption_justify="left")
    rows = list(predictions)
    classes = next((list(row.probabilities) for row in rows if row.probabilities), [])
    table.add_column("image", overflow="fold")
    table.add_column("predicted" if classes else "reason", overflow="fold")
    if classes:
        table.add_column("decision")
        table.add_column("score", justify="right")
        for name in classes:
            table.add_column(f"p({name})", justify="right")
    for row in rows:
        cells = [f"error: {row.error}", *["-"] * (len(classes) + 2 if classes else 0)]
        if row.decision == "REFER" and row.score is None:
            cells[:2] = [f"no prediction: {row.reason}", *(["REFER"] if classes else [])]
        elif not row.error:
            numbers = (f"{p:.4f}" for p in row.probabilities.values())
            cells = [row.predicted, row.decision, f"{row.score:.4f}", *numbers]
        table.add_row(Text(row.file), *map(Text, cells))
    # Fixed width in files and pipes, so that lines do not wrap.
    width = None if sys.stdout.isatty() else 240
    Console(highlight=False, width=width).print(table)
