"""`pneumo predict`."""

import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from schema.errors import PneumoError

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.commands.sources import Source
    from serving.answer import Prediction
    from serving.dicom_out import Reports
    from serving.results import ResultFile

NOTICE = "Research software, not a medical device."
_SCREEN = Path("-")


@click.command(
    epilog="Example: pneumo predict --endpoint grpc://127.0.0.1:8500 --output answers.csv "
    "--worklist list.csv --resume folder/"
)
@click.option("--model", "folder", type=click.Path(path_type=Path),
              help="A SavedModel, or a folder of versions (the newest is taken).")  # fmt: skip
@click.option("--endpoint", metavar="URL",
              help="A server: http[s]://host:8501 for REST, grpc[s]://host:8500.")  # fmt: skip
@click.option("--name", default="pneumo", show_default=True, help="The model's name there.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]),
              help="Default: what the suffix of --output says, else a table.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="--format json: one object a line.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the answers (.csv, .json or .jsonl) here as they come.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with --output: skip the files it answers.")
@click.option("--worklist", metavar="FILE",
              type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
              help="Write .csv or .json: abstained, then by falling score, then rejected; "
              "- shows it.")  # fmt: skip
@click.option("--dicom-out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Write a report about each DICOM file, which names its patient.")  # fmt: skip
@click.option("--explain", "pictures", metavar="DIR",
              type=click.Path(path_type=Path, file_okay=False),
              help="Write a PNG of each image with heat map and boxes over it.")  # fmt: skip
@click.option("--batch-size", default=16, show_default=True, type=click.IntRange(1),
              help="Images in one call.")  # fmt: skip
@click.option("--concurrency", default=2, show_default=True, type=click.IntRange(1, 256),
              help="Calls to the server under way at once.")  # fmt: skip
@click.option("--timeout", default=60.0, show_default=True, type=click.FloatRange(0.1),
              help="Seconds for one call to the server.")  # fmt: skip
@click.argument("images", nargs=-1, required=True,
                type=click.Path(path_type=Path, allow_dash=True))  # fmt: skip
def command(
    folder: Path | None,
    endpoint: str | None,
    name: str,
    form: str | None,
    as_json: bool,
    output: Path | None,
    resume: bool,
    worklist: Path | None,
    dicom_out: Path | None,
    pictures: Path | None,
    batch_size: int,
    concurrency: int,
    timeout: float,
    images: tuple[Path, ...],
) -> None:
    """Ask a pushed model, or a server of it, about images.

    IMAGES are JPEG, PNG or DICOM files, folders of such, or - for file names from standard input.
    A file that cannot be read or used is answered with a reason of its own; the others are answered
    all the same. Exit status 1 if there was one.

    With --dicom-out, DICOM files get a structured report (TID 1500) that belongs to the patient and
    the study of the image. It is the one output with identities; keep DIR as you keep the images.
    """
    from pipeline.commands.sources import Local, Server
    from serving.files import check_paths
    from serving.results import ResultFile, form_of
    from serving.worklist import check_worklist, write_worklist

    if (folder is None) == (endpoint is None):
        raise click.UsageError("Missing option: give either '--model' or '--endpoint'.")
    if resume and output is None:
        raise click.UsageError("--resume goes on with a file: give --output too.")
    shown = form is not None or as_json or worklist is None or worklist == _SCREEN
    form = _form(form, as_json, output)
    check_paths(path for path in images if path != _SCREEN)
    listed = None if worklist == _SCREEN else worklist
    if listed is not None:
        check_worklist(listed, replace=resume)
    with ExitStack() as stack:
        if endpoint is not None:
            from serving.client import Client

            client = Client(
                endpoint, name, timeout=timeout, batch_size=batch_size, concurrency=concurrency
            )
            source: Source = Server(stack.enter_context(client), name)
        else:
            assert folder is not None
            source = Local(folder, batch_size, name)
        if pictures is not None and not source.explains:
            raise PneumoError("this model gives no heat maps; `pneumo run` exports one that does")
        reports = _reports(dicom_out, source) if dicom_out is not None else None
        kept = output
        if kept is None and listed is not None:
            kept = Path(stack.enter_context(TemporaryDirectory())) / "answers.json"
        if kept is not None:
            written = form_of(form if output else "json", source.classes, source.located)
            file = stack.enter_context(ResultFile(kept, written, resume))
            tally = _to_file(file, source, images, reports, pictures)
            if listed is not None:
                write_worklist(file, listed, NOTICE)
            if worklist == _SCREEN or (output is None and shown):
                _print(file.answers(), form if output is None else "table", source, worklist)
        else:
            tally = Tally()
            answers = tally.count(_asked(source, _files(images), reports, pictures))
            _print(answers, form, source, worklist)
    for line in reports.lines() if reports else ():
        click.echo(line, err=True)
    click.echo(f"{tally}. {NOTICE}", err=True)
    sys.exit(1 if tally.rejected or (reports and reports.unreported) else 0)


@dataclass
class Tally:
    """How many answers of each kind: what went in is what came out and what was rejected."""

    answered: int = 0
    referred: int = 0
    rejected: int = 0

    def add(self, answer: "Prediction") -> None:
        """Counts one answer."""
        if answer.error:
            self.rejected += 1
        else:
            self.answered += 1
            self.referred += answer.decision == "REFER"

    def count(self, answers: "Iterable[Prediction]") -> "Iterator[Prediction]":
        """Counts answers as they pass."""
        for answer in answers:
            self.add(answer)
            yield answer

    def __str__(self) -> str:
        total = self.answered + self.rejected
        return (
            f"{total} images: {self.answered} answered ({self.referred} of them abstained), "
            f"{self.rejected} rejected"
        )


def _reports(folder: Path, source: "Source") -> "Reports":
    from serving.dicom_out import Reports

    if not source.explains:
        click.echo("this model tells no places: its reports have no regions", err=True)
    return Reports(folder, source.algorithm(), source.classes)


def _asked(
    source: "Source", files: Iterable[Path], reports: "Reports | None", pictures: Path | None
) -> "Iterator[Prediction]":
    """Answers; each has its report and its picture before it is given on."""
    if reports is None and pictures is None:
        yield from source.answers(files)
        return
    answers = source.answers(files, "explain" if source.explains else "serving_default")
    if pictures is not None:
        from serving.explained import drawn

        answers = drawn(answers, pictures)
    for answer in answers:
        if reports is not None:
            reports.add(answer)
        yield replace(answer, heatmap=None)


def _form(form: str | None, as_json: bool, output: Path | None) -> str:
    suffix = output.suffix.lower() if output else ""
    told = {".csv": "csv", ".json": "json", ".jsonl": "json"}.get(suffix)
    form = form or ("json" if as_json else None) or told
    if output is not None and form not in ("csv", "json"):
        raise click.UsageError("--output is CSV or JSON: name it .csv or .json, or give --format.")
    return form or "table"


def _files(images: Iterable[Path]) -> Iterator[Path]:
    from serving.files import names_of, stream_files

    for path in images:
        if path == _SCREEN:
            yield from names_of(sys.stdin.buffer)
        else:
            yield from stream_files([path])


def _to_file(
    file: "ResultFile",
    source: "Source",
    images: tuple[Path, ...],
    reports: "Reports | None",
    pictures: Path | None,
) -> Tally:
    """Appends an answer for each file that has none, and counts the whole file."""
    from serving.progress import shown

    left = file.done.copy()
    tally = Tally()
    for earlier in file.answers():
        tally.add(earlier)

    def unanswered() -> Iterator[Path]:
        for path in _files(images):
            if left[str(path)] > 0:
                left[str(path)] -= 1
            else:
                yield path

    total = None
    if sys.stderr.isatty() and _SCREEN not in images:
        total = sum(1 for _ in _files(images)) - left.total()
    try:
        for answer in shown(tally.count(_asked(source, unanswered(), reports, pictures)), total):
            file.write(answer)
    except PneumoError as error:
        done = tally.answered + tally.rejected
        raise PneumoError(
            f"{error} ({done} answers are in {file.path}; --resume goes on from there)"
        ) from error
    return tally


def _print(
    answers: "Iterable[Prediction]", form: str, source: "Source", worklist: Path | None
) -> None:
    if worklist == _SCREEN:
        from serving.worklist import urgency

        answers = sorted(answers, key=urgency)
    if form == "json":
        print_json(answers)
    elif form == "csv":
        from serving.results import Csv

        rows = Csv(source.classes, source.located)
        out = sys.stdout.buffer
        out.write(rows.header())
        for answer in answers:
            out.write(rows.encode(answer))
            out.flush()
    elif worklist == _SCREEN:
        print_worklist(answers)
    else:
        print_table(answers)


def print_json(answers: "Iterable[Prediction]") -> int:
    """Prints a line of JSON for each answer as it comes; returns how many failed."""
    failed = 0
    for answer in answers:
        failed += bool(answer.error)
        click.echo(json.dumps(answer.to_dict()))
    return failed


def print_worklist(answers: "Iterable[Prediction]") -> None:
    """Prints ordered answers as three tables: abstained, scored, rejected."""
    from serving.worklist import list_of

    titles = ("Abstained: to be read first", "By falling score", "Rejected: not read by the model")
    for place, group in itertools.groupby(answers, key=list_of):
        print_table(group, titles[place])


def print_table(answers: "Iterable[Prediction]", title: str | None = None) -> int:
    """Prints a table; returns how many failed."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption=NOTICE, caption_justify="left")
    held = list(answers)
    columns = next((list(answer.probabilities) for answer in held if answer.probabilities), [])
    table.add_column("image", overflow="fold")
    table.add_column("predicted" if columns else "reason", overflow="fold")
    if columns:
        table.add_column("decision")
        table.add_column("score", justify="right")
        for name in columns:
            table.add_column(f"p({name})", justify="right")
    for answer in held:
        _add_row(table, answer, len(columns))
    # In a file or a pipe a line is as long as it has to be.
    wide = None if sys.stdout.isatty() else 240
    Console(highlight=False, width=wide).print(table)
    return sum(bool(answer.error) for answer in held)


def _add_row(table: "Table", answer: "Prediction", columns: int) -> None:
    from rich.text import Text

    if answer.error:
        cells = [f"error: {answer.error}", *["-"] * (columns and columns + 2)]
    else:
        numbers = (f"{p:.4f}" for p in answer.probabilities.values())
        cells = [answer.predicted, answer.decision, f"{answer.score:.4f}", *numbers]
    table.add_row(Text(answer.file), *(Text(cell) for cell in cells))
