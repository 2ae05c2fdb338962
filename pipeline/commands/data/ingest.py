"""`pneumo ingest`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from core.ingest.job import IngestSummary

LEAK_STATUS = 3
_WORDS = {"scan": "listing", "check": "checking", "compare": "comparing", "write": "writing"}


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
    help="How SOURCE tells classes.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "given", "patient", "given_patient_val"]),
    default="auto",
    show_default=True,
    help="As the folders say, by patient, or both (val carved from train).",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the split and of the order of the records.",
)
@click.option(
    "--val-fraction",
    type=float,
    default=0.15,
    show_default=True,
    help="Part of the patients for val.",
)
@click.option(
    "--test-fraction",
    type=float,
    default=0.15,
    show_default=True,
    help="Part of the patients for test (--split patient).",
)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    default=None,
    help="CSV with path, label and optionally patient, split.",
)
@click.option(
    "--boxes",
    type=click.Path(path_type=Path),
    default=None,
    help="CSV of opacities: filename and xmin, ymin, xmax, ymax or x, y, width, height, "
    "in pixels. Found by itself for RSNA and for phantoms.",
)
@click.option(
    "--patient-salt",
    envvar="PNEUMO_PATIENT_SALT",
    default="",
    metavar="SECRET",
    help="Goes into the hashed patient keys of DICOM files; better as "
    "PNEUMO_PATIENT_SALT in the environment.",
)
@click.option(
    "--dicom-secondary",
    type=click.Choice(["radiographs", "accept", "refuse"]),
    default="radiographs",
    show_default=True,
    help="Secondary captures: those of a radiograph's modality, all, none.",
)
@click.option(
    "--dicom-names",
    type=click.Choice(["auto", "keep"]),
    default="auto",
    show_default=True,
    help="Replace DICOM file names that tell the patient, or keep all.",
)
@click.option(
    "--class-map",
    "class_map",
    multiple=True,
    metavar="FOLDER=PATHOGEN",
    help="normal, bacteria, virus, unknown or other; may be repeated.",
)
@click.option(
    "--on-leak",
    type=click.Choice(["report", "fail"]),
    default="report",
    show_default=True,
    help="What to do where the splits leak.",
)
@click.option(
    "--engine",
    default="direct",
    show_default=True,
    metavar="NAME",
    help="What Beam runs on: direct (here), processes, portable, flink or spark. Its "
    "workers must see SOURCE and DEST at the same paths.",
)
@click.option(
    "--beam-set",
    "beam_set",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the configuration's part beam; may be repeated.",
)
@click.option(
    "--beam-arg",
    "beam_args",
    multiple=True,
    metavar="ARG",
    help="Passed to Beam, e.g. --direct_num_workers=4; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace a data set that is in DEST.")
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
    boxes: Path | None,
    patient_salt: str,
    dicom_secondary: str,
    dicom_names: str,
    class_map: tuple[str, ...],
    on_leak: str,
    engine: str,
    beam_set: tuple[str, ...],
    beam_args: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Check the images below SOURCE, split them by patient, write TFRecord shards to DEST.

    SOURCE holds {train,val,test}/{NORMAL,PNEUMONIA}/*.jpeg, or NORMAL/ and PNEUMONIA/, or the RSNA
    challenge (stage_2_train_images/ and its two tables), or what a manifest names. Images are JPEG,
    PNG or DICOM. It is never written to. A run that was killed goes on with the same command.

    Of a DICOM file its pixels leave, and of its tags: view, modality, size, bits, spacing, age (90
    at most), sex, and a hashed key of the patient. Text burned into the pixels is not seen.

    Exit status: 0 done, 2 wrong input, 3 stopped because the splits leak.
    """
    from core.ingest.splits.leakage import LeakageError

    options = _options(
        layout=layout,
        split=split,
        seed=seed,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        manifest=manifest,
        boxes=boxes,
        patient_salt=patient_salt,
        dicom_secondary=dicom_secondary,
        dicom_names=dicom_names,
        class_map=_mapping(class_map),
        on_leak=on_leak,
    )
    try:
        args = _engine(engine, beam_set, beam_args)
        summary = _run(source, dest, options, args, overwrite)
    except LeakageError as error:
        click.echo(f"pneumo: {error}", err=True)
        sys.exit(LEAK_STATUS)
    if as_json:
        click.echo(summary.model_dump_json(indent=1))
    else:
        _show(summary)


def _engine(name: str, pairs: Sequence[str], more: Sequence[str]) -> list[str]:
    """Returns Beam's arguments."""
    import logging

    from pipeline.config_file import beam_options
    from pipeline.engines.arguments import known, local_args
    from schema.errors import PneumoError

    engine = known(name)
    if engine == "dataflow":
        raise PneumoError("ingest needs workers that share a file system, and Dataflow's do not")
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors are reported in one line
    return local_args(engine, beam_options(pairs), more)


def _options(**values: Any) -> Any:
    from pydantic import ValidationError

    from core.ingest.options import IngestOptions
    from schema.errors import PneumoError

    try:
        return IngestOptions(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise PneumoError(f"{where}: {what}" if where else what) from None


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    out = {}
    for pair in pairs:
        folder, sep, pathogen = pair.rpartition("=")
        if not sep or not folder:
            raise click.BadParameter(f"{pair!r} is no FOLDER=PATHOGEN", param_hint="--class-map")
        out[folder] = pathogen
    return out


def _run(
    source: Path, dest: Path, options: Any, beam_args: Sequence[str], overwrite: bool
) -> "IngestSummary":
    import logging

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from core.ingest.job import ingest

    logging.getLogger("apache_beam").setLevel(logging.ERROR)
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
                for task in bar.tasks:  # a step whose total isn't known ends where the next begins
                    done_there = task.completed or 1
                    bar.update(task.id, total=done_there, completed=done_there)
                word = _WORDS.get(phase, phase)
                tasks[phase] = bar.add_task(word, total=total or None, rate="")
                first[phase] = done  # what an earlier run had finished is no speed of this one
            elapsed = bar.tasks[tasks[phase]].elapsed or 0.0
            rate = (done - first[phase]) / elapsed if elapsed > 0.5 else 0.0
            text = f"{rate:.0f} images/s" if rate else ""
            bar.update(tasks[phase], completed=done, total=total or None, rate=text)

        return ingest(
            source, dest, options, beam_args=beam_args, progress=progress, overwrite=overwrite
        )


def _show(summary: "IngestSummary") -> None:
    from rich.console import Console
    from rich.table import Table

    from schema.labels import PATHOGENS

    console = Console()
    kind = "SYNTHETIC images, not patients. " if summary.synthetic else ""
    again = " (there already, unchanged)" if summary.reused else ""
    console.print(f"{kind}Data set {summary.dest}{again}", soft_wrap=True)
    columns = [p for p in PATHOGENS if any(p in c for c in summary.splits.values())]
    table = Table("split", *columns, "images", "patients")
    for split, counts in summary.splits.items():
        cells = [str(counts.get(p, 0)) for p in columns]
        table.add_row(split, *cells, str(sum(counts.values())), str(summary.patients[split]))
    console.print(table)
    skipped = sum(summary.skipped.values())
    console.print(
        f"{summary.found} files found = {summary.written} written + {summary.rejected} rejected"
        f" + {skipped} skipped; split policy {summary.policy}",
        soft_wrap=True,
    )
    if summary.boxes.get("read"):
        told = summary.boxes
        images = sum(split["images"] for split in told["splits"].values())
        why = ", ".join(f"{reason} {n}" for reason, n in told["reasons"].items())
        console.print(
            f"{told['read']} boxes read = {told['written']} written (in {images} images, "
            f"{told['clipped']} clipped) + {told['rejected']} rejected" + (f": {why}" * bool(why)),
            soft_wrap=True,
        )
    if summary.dicom:
        console.print(_of_dicom(summary.dicom), soft_wrap=True)
    if summary.skipped:
        listed = ", ".join(f"{name} {n}" for name, n in summary.skipped.items())
        console.print(f"skipped: {listed}", soft_wrap=True, markup=False)
    if summary.rejected:
        rejects = Table("rejected because", "files")
        for reason, n in summary.reasons.items():
            rejects.add_row(reason, str(n))
        console.print(rejects)
        console.print(f"each of them: {summary.dest / 'rejects.jsonl'}", soft_wrap=True)
    leaks = Table("leakage", "found")
    for name, n in summary.leakage.items():
        leaks.add_row(name.replace("_", " "), str(n))
    console.print(leaks)
    state = "nothing leaks between the splits" if summary.leakage_ok else "THE SPLITS LEAK"
    console.print(f"{state}; details: {summary.dest / 'leakage.json'}", soft_wrap=True)
    console.print("Research software, not a medical device.")


def _of_dicom(told: dict[str, Any]) -> str:
    lines = [f"{told['written']} DICOM files: pixels and an allow-list of tags left them"]
    if told["replaced_names"]:
        lines.append(f"{told['replaced_names']} names that told the patient were replaced")
    if told.get("hashed_patients") and not told["salted"]:
        lines.append(
            "patient keys are hashed WITHOUT a salt, so who guesses an id can confirm it: "
            "set PNEUMO_PATIENT_SALT"
        )
    return "; ".join([*lines, "text burned into the pixels was not looked for"])
