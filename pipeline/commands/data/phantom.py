"""`pneumo phantom`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from core.phantom.dataset import PhantomSummary


@click.command(epilog="Example: pneumo phantom phantoms --n 200 --seed 7")
@click.option("--n", default=400, show_default=True, help="Number of images.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same images.")
@click.option(
    "--layout",
    type=click.Choice(["folders", "rsna"]),
    default="folders",
    show_default=True,
    help="Layout of the public data set to imitate; rsna writes DICOM.",
)
@click.option(
    "--size", type=int, show_default="320, rsna 1024", help="Width of an image in pixels."
)
@click.option("--jpeg-quality", default=92, show_default=True, help="1 to 95.")
@click.option(
    "--min-severity",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Smallest severity of a finding; 0: barely visible, 1: all are severe.",
)
@click.option("--workers", default=0, help="Number of processes; 0: one per core.")
@click.option("--overwrite", is_flag=True, help="Replace an existing synthetic data set in DEST.")
@click.argument("dest", type=click.Path(path_type=Path))
def command(
    n: int,
    seed: int,
    layout: str,
    size: int | None,
    jpeg_quality: int,
    min_severity: float,
    workers: int,
    overwrite: bool,
    dest: Path,
) -> None:
    """Write a data set of synthetic radiographs to DEST.

    Default layout: that of the Kaggle chest X-ray data set, DEST/chest_xray/{train,val,test}/
    {NORMAL,PNEUMONIA}, and DEST/boxes.csv with the true boxes. With --layout rsna: DICOM files and
    tables as in the RSNA Pneumonia Detection Challenge, one image per patient. All images are
    marked SYNTHETIC: results on them say nothing about real radiographs.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from core.phantom.dataset import write_phantoms

    if workers == 0:
        # Starting a process takes a second, so use few processes for few images.
        workers = max(1, min(len(os.sched_getaffinity(0)), n // 100))
    bar = Progress(
        TextColumn("synthetic radiographs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} images/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=max(n, 0), rate=0.0)

        def advance(done: int, total: int) -> None:
            rate = bar.tasks[0].speed or 0.0
            bar.update(task, completed=done, total=total, rate=rate)

        summary = write_phantoms(
            dest,
            n,
            seed,
            layout=layout,
            size=size,
            jpeg_quality=jpeg_quality,
            min_severity=min_severity,
            workers=workers,
            overwrite=overwrite,
            progress=advance,
        )
    print_summary(summary, dest)


def print_summary(summary: "PhantomSummary", dest: Path) -> None:
    """Prints the contents of the data set and the next command."""
    if summary.reused:
        click.echo(f"{dest} already holds these {summary.images} images; nothing to do")
    else:
        click.echo(
            f"{summary.images} synthetic radiographs of {summary.patients} synthetic patients, "
            f"{summary.boxes} boxes, in {dest}"
        )
    for split, counts in summary.splits.items():
        click.echo(f"  {split:<6}" + ", ".join(f"{k} {name}" for name, k in counts.items()))
    source = dest / summary.source.relative_to(summary.dest)
    click.echo(f"next: pneumo ingest {source} {dest.with_name(dest.name + '-records')}")
