"""`pneumo predict`."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from schema.errors import PneumoError
from serving import NOTICE

if TYPE_CHECKING:
    from pipeline.commands.sources import PredictionSource
    from serving.dicom_out import ReportWriter
    from serving.predict.input_files import LeftOut
    from serving.predict.prediction import Prediction
    from serving.predict.result_file import ResultFile

_TERMINAL = Path("-")


@click.command(
    epilog="Example: pneumo predict --endpoint grpc://127.0.0.1:8500 --output answers.csv "
    "--worklist list.csv --resume folder/"
)
@click.option(
    "--model",
    "folder",
    type=click.Path(path_type=Path),
    help="SavedModel, or folder of versions (uses the newest).",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="Server: http[s]://host:8501 for REST, grpc[s]://host:8500 for gRPC.",
)
@click.option("--name", default="pneumo", show_default=True, help="Model name on the server.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    help="Default: by the suffix of --output, otherwise table.",
)
@click.option("--json", "as_json", is_flag=True, help="Same as --format json: one object per line.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the predictions (.csv, .json or .jsonl), written continuously.",
)
@click.option(
    "--resume", is_flag=True, help="Append to --output and skip files that are already in it."
)
@click.option(
    "--worklist",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write .csv or .json: referred, then by descending score, then rejected; - prints it.",
)
@click.option(
    "--dicom-out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a DICOM report for each DICOM file; it contains the patient's identity.",
)
@click.option(
    "--explain",
    "pictures",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a PNG of each image with heat map and boxes.",
)
@click.option(
    "--batch-size",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Images per request.",
)
@click.option(
    "--concurrency",
    default=2,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Concurrent requests to the server.",
)
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds per request to the server.",
)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
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
    """Predict images with a SavedModel or a model server.

    IMAGES are JPEG, PNG or DICOM files, folders of them, or - to read file names from standard
    input. An unreadable or unsupported file is rejected with a reason and does not affect the
    others; the exit status is then 1. Folders are searched as `pneumo ingest` does: other files
    are skipped and counted.

    With --dicom-out, each DICOM file gets a structured report (TID 1500) in the study of the image.
    Unlike all other outputs, reports contain the identity of the patient: protect DIR accordingly.
    """
    from serving.predict.input_files import LeftOut, check_paths
    from serving.predict.printing import print_predictions
    from serving.predict.result_file import ResultFile, record_format
    from serving.predict.worklist import check_worklist, write_worklist

    if (folder is None) == (endpoint is None):
        raise click.UsageError("Give either '--model' or '--endpoint'.")
    if resume and output is None:
        raise click.UsageError("--resume needs --output.")
    to_file = worklist if worklist != _TERMINAL else None
    shown = output is None and (form is not None or as_json or to_file is None)
    form = _format(form, as_json, output)
    check_paths(path for path in images if path != _TERMINAL)
    if to_file is not None:
        check_worklist(to_file, replace=resume)
    counts: Counter[str] = Counter()
    left = LeftOut()

    def show(predictions: "Iterable[Prediction]", form: str) -> None:
        print_predictions(
            predictions,
            form,
            source.classes,
            boxes=source.located,
            worklist=worklist == _TERMINAL,
        )

    with ExitStack() as stack:
        if endpoint is not None:
            from pipeline.commands.sources import EndpointSource
            from serving.client import Client

            client = Client(
                endpoint, name, timeout=timeout, batch_size=batch_size, concurrency=concurrency
            )
            source: PredictionSource = EndpointSource(stack.enter_context(client), name)
        else:
            from pipeline.commands.sources import SavedModelSource

            assert folder is not None
            source = SavedModelSource(folder, batch_size, name)
        if pictures is not None and not source.explains:
            raise PneumoError("the model has no heat maps; export it again with `pneumo run`")
        reports = _reports(dicom_out, source) if dicom_out is not None else None
        if output is None and to_file is None:
            files = _files(images, left)
            predictions = chain(_predict(source, files, reports, pictures), _rejected(left))
            show(_counted(predictions, counts), form)
        else:
            kept = output or Path(stack.enter_context(TemporaryDirectory())) / "predictions.json"
            written = record_format(form if output else "json", source.classes, source.located)
            results = stack.enter_context(ResultFile(kept, written, resume))
            _append(results, source, images, left, reports, pictures, counts)
            if to_file is not None:
                write_worklist(results, to_file, NOTICE)
            if shown or worklist == _TERMINAL:
                show(results.predictions(), "table" if output else form)
    for line in reports.summary() if reports else ():
        click.echo(line, err=True)
    _echo_counts(counts, left)
    sys.exit(1 if counts["REJECTED"] or (reports and reports.unreported) else 0)


def _echo_counts(counts: Counter[str], left: "LeftOut") -> None:
    rejected, unusable = counts["REJECTED"], counts["UNUSABLE"]
    text = f"{counts.total()} images: {counts.total() - rejected - unusable} predicted "
    text += f"({counts['REFER']} of them referred), "
    text += f"{unusable} referred without a prediction, " if unusable else ""
    text += f"{rejected} rejected"
    text += f", {left.skipped.total()} other files skipped: {left}" if left.skipped else ""
    click.echo(f"{text}. {NOTICE}", err=True)


def _format(form: str | None, as_json: bool, output: Path | None) -> str:
    suffix = output.suffix.lower() if output else ""
    by_suffix = {".csv": "csv", ".json": "json", ".jsonl": "json"}.get(suffix)
    form = form or ("json" if as_json else None) or by_suffix
    if output is not None and form not in ("csv", "json"):
        raise click.UsageError(
            "--output needs the suffix .csv, .json or .jsonl, or --format csv or json."
        )
    return form or "table"


def _files(images: Iterable[Path], left: "LeftOut") -> Iterator[Path]:
    from serving.predict.input_files import read_paths, stream_files

    for path in images:
        if path == _TERMINAL:
            yield from read_paths(sys.stdin.buffer)
        else:
            yield from stream_files([path], left)


def _rejected(left: "LeftOut", done: Counter[str] | None = None) -> "Iterator[Prediction]":
    """Yields the files of folders that cannot be used, once all folders were read."""
    from serving.predict.prediction import rejected

    for path, reason in left.rejected:
        if not done or not done[str(path)]:
            yield rejected(str(path), reason)


def _reports(folder: Path, source: "PredictionSource") -> "ReportWriter":
    from serving.dicom_out import ReportWriter

    if not source.explains:
        click.echo("the model has no signature `explain`: the reports have no regions", err=True)
    return ReportWriter(folder, source.algorithm(), source.classes)


def _predict(
    source: "PredictionSource",
    files: Iterable[Path],
    reports: "ReportWriter | None",
    pictures: Path | None,
) -> "Iterator[Prediction]":
    """Yields predictions after writing their report and picture."""
    if reports is None and pictures is None:
        yield from source.predict(files)
        return
    predictions = source.predict(files, "explain" if source.explains else "serving_default")
    if pictures is not None:
        from serving.predict.heatmap_images import with_heatmap_images

        predictions = with_heatmap_images(predictions, pictures)
    for prediction in predictions:
        if reports is not None:
            reports.add(prediction)
        yield replace(prediction, heatmap=None)


def _counted(predictions: "Iterable[Prediction]", counts: Counter[str]) -> "Iterator[Prediction]":
    """Passes predictions through and counts them by decision."""
    for prediction in predictions:
        unusable = not prediction.error and prediction.score is None  # no radiograph
        counts["UNUSABLE" if unusable else prediction.decision] += 1
        yield prediction


def _append(
    results: "ResultFile",
    source: "PredictionSource",
    images: tuple[Path, ...],
    left: "LeftOut",
    reports: "ReportWriter | None",
    pictures: Path | None,
    counts: Counter[str],
) -> None:
    """Appends predictions for files that are not in the result file, and counts all predictions."""
    from serving.predict.input_files import LeftOut
    from serving.predict.progress import with_progress

    done = results.done.copy()
    for _ in _counted(results.predictions(), counts):
        pass

    def remaining() -> Iterator[Path]:
        for path in _files(images, left):
            if done[str(path)] > 0:
                done[str(path)] -= 1
            else:
                yield path

    total = None
    if sys.stderr.isatty() and _TERMINAL not in images:
        total = sum(1 for _ in _files(images, LeftOut())) - done.total()
    predictions = chain(_predict(source, remaining(), reports, pictures), _rejected(left, done))
    try:
        for prediction in with_progress(_counted(predictions, counts), total):
            results.write(prediction)
    except PneumoError as error:
        raise PneumoError(
            f"{error} ({counts.total()} predictions are in {results.path}; continue with --resume)"
        ) from error
