"""`pneumo ingest`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli_options import (
    EXIT_LEAK,
    beam_arg_option,
    boxes_option,
    class_map_option,
    manifest_option,
    on_leak_option,
)

if TYPE_CHECKING:
    from core.ingest.options import IngestOptions
    from core.ingest.summary import IngestSummary
_PHASES = {"scan": "listing", "check": "checking", "compare": "comparing", "write": "writing"}


@click.command(
    epilog="Example: pneumo ingest chest_xray records/chest_xray --on-leak fail",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("dest", type=click.Path(path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(["auto", "split_class", "class", "manifest", "rsna"]),
    default="auto",
    show_default=True,
    help="Where the classes come from.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "given", "patient", "given_patient_val"]),
    default="auto",
    show_default=True,
    help="As in SOURCE, by patient, or as in SOURCE with val split off from train by patient.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the split and of the order of the records.",
)
@click.option(
    "--val-fraction",
    type=float,
    default=0.15,
    show_default=True,
    help="Fraction of the patients for val.",
)
@click.option(
    "--test-fraction",
    type=float,
    default=0.15,
    show_default=True,
    help="Fraction of the patients for test (--split patient).",
)
@manifest_option
@click.option(
    "--source-column",
    default=None,
    metavar="NAME",
    help="Column of the manifest that becomes the source of the records: hospital, scanner, year.",
)
@boxes_option
@click.option(
    "--patient-salt",
    envvar="PNEUMO_PATIENT_SALT",
    default="",
    metavar="SECRET",
    help="Salt of the hashed patient keys of DICOM files; prefer the environment variable "
    "PNEUMO_PATIENT_SALT.",
)
@click.option(
    "--dicom-secondary",
    type=click.Choice(["radiographs", "accept", "refuse"]),
    default="radiographs",
    show_default=True,
    help="Secondary captures: only those with a radiograph's modality, all, or none.",
)
@click.option(
    "--dicom-names",
    type=click.Choice(["auto", "keep"]),
    default="auto",
    show_default=True,
    help="Replace DICOM file names that identify the patient, or keep all.",
)
@class_map_option
@on_leak_option("report")
@click.option(
    "--engine",
    default="direct",
    show_default=True,
    metavar="NAME",
    help="Beam runner: direct (this process), processes, portable, flink or spark. Its "
    "workers must see SOURCE and DEST at the same paths.",
)
@click.option(
    "--beam-set",
    "beam_set",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the configuration section beam; repeatable.",
)
@beam_arg_option
@click.option("--overwrite", is_flag=True, help="Replace an existing data set in DEST.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    source: Path,
    dest: Path,
    layout: str,
    split: str,
    seed: int,
    val_fraction: float,
    test_fraction: float,
    manifest: Path | None,
    source_column: str | None,
    boxes: Path | None,
    patient_salt: str,
    dicom_secondary: str,
    dicom_names: str,
    class_map: dict[str, str],
    on_leak: str,
    engine: str,
    beam_set: tuple[str, ...],
    beam_args: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Check the images below SOURCE, split them by patient, write TFRecord shards to DEST.

    SOURCE contains {train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg, or NORMAL/ and PNEUMONIA/, or the
    RSNA challenge (stage_2_train_images/ and its two tables), or the files of a manifest. Images
    are JPEG, PNG or DICOM. SOURCE is never written to. The same command resumes a killed run.

    Records of a DICOM file contain its pixels and these tags: view, modality, size, bits, spacing,
    age (90 at most), sex, and a hashed patient key. Text burned into the pixels is not detected.

    Exit status: 0 success, 2 invalid input, 3 stopped because the splits leak.
    """
    from core.ingest.splits.leakage import LeakageError
    from pipeline.commands.data.ingest_summary import print_summary

    options = _options(
        layout=layout,
        split=split,
        seed=seed,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        manifest=manifest,
        source_column=source_column,
        boxes=boxes,
        patient_salt=patient_salt,
        dicom_secondary=dicom_secondary,
        dicom_names=dicom_names,
        class_map=class_map,
        on_leak=on_leak,
    )
    try:
        args = _beam_args(engine, beam_set, beam_args)
        summary = _run(source, dest, options, args, overwrite)
    except LeakageError as error:
        click.echo(f"pneumo: {error}", err=True)
        sys.exit(EXIT_LEAK)
    if as_json:
        click.echo(summary.model_dump_json(indent=1))
    else:
        print_summary(summary)


def _beam_args(name: str, pairs: Sequence[str], more: Sequence[str]) -> list[str]:
    import logging

    from pipeline.config_file import beam_options
    from pipeline.engines.arguments import local_args, parse_engine
    from schema.errors import PneumoError

    engine = parse_engine(name)
    if engine == "dataflow":
        raise PneumoError(
            "ingest needs workers that share a file system, but those of Dataflow do not; use "
            "another --engine"
        )
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    return local_args(engine, beam_options(pairs), more)


def _options(**values: Any) -> "IngestOptions":
    from core.ingest.options import IngestOptions
    from schema.options import validate

    return validate(IngestOptions, values)


def _run(
    source: Path, dest: Path, options: Any, beam_args: Sequence[str], overwrite: bool
) -> "IngestSummary":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from core.ingest.job import ingest

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}
        first: dict[str, int] = {}

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                for task in bar.tasks:  # a phase of unknown length ends when the next begins
                    completed = task.completed or 1
                    bar.update(task.id, total=completed, completed=completed)
                description = _PHASES.get(phase, phase)
                tasks[phase] = bar.add_task(description, total=total or None, rate="")
                first[phase] = done  # finished by an earlier run
            elapsed = bar.tasks[tasks[phase]].elapsed or 0.0
            rate = (done - first[phase]) / elapsed if elapsed > 0.5 else 0.0
            text = f"{rate:.0f} images/s" if rate else ""
            bar.update(tasks[phase], completed=done, total=total or None, rate=text)

        return ingest(
            source, dest, options, beam_args=beam_args, progress=progress, overwrite=overwrite
        )
