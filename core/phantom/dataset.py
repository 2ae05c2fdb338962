"""Writes a data set of synthetic radiographs in the layout of a public data set."""

import csv
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from core.phantom.anatomy import sample_anatomy, sample_exposure
from core.phantom.cohort import FOLDERS, SyntheticPatient
from core.phantom.findings import sample_findings
from core.phantom.layouts import LAYOUTS, FolderLayout, ImageRequest, Rows
from core.phantom.render import SyntheticRadiograph, render
from schema.errors import PneumoError
from schema.files import atomic_folder

VERSION: Final = 1  # of the renderer; increase it when the pixels for a seed change
NOTICE: Final = "SYNTHETIC.txt"
SMALLEST, LARGEST = 64, 4096

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PhantomSummary:
    """Summary of a synthetic data set.

    Attributes:
      dest: its folder.
      source: folder to pass to `pneumo ingest`: `dest` or a subfolder.
      images: number of images.
      patients: number of patients.
      boxes: number of boxes.
      splits: split -> pathogen -> images; the RSNA layout has the one split "all".
      reused: the data set already existed with the same parameters; nothing was written.
    """

    dest: Path
    source: Path
    images: int
    patients: int
    boxes: int
    splits: dict[str, dict[str, int]]
    reused: bool


def draw_image(
    seed: int,
    patient: SyntheticPatient,
    k: int,
    size: int,
    min_severity: float = 0.0,
    **options: bool,
) -> SyntheticRadiograph:
    """Renders the k-th image of a patient; deterministic.

    Args:
      seed: seed of the data set.
      patient: see core.phantom.cohort.
      k: 0 to patient.images - 1.
      size: width in pixels.
      min_severity: see `sample_findings`.
      options: passed to `render`.
    """
    patient_rng = np.random.default_rng([seed, 1, patient.index])
    anatomy = sample_anatomy(patient_rng)
    findings = sample_findings(patient_rng, patient.pathogen, min_severity)
    rng = np.random.default_rng([seed, 2, patient.first + k])
    return render(anatomy, findings, sample_exposure(rng), rng, size=size, **options)


def write_phantoms(
    dest: str | Path,
    n: int,
    seed: int,
    *,
    layout: str = "folders",
    size: int | None = None,
    jpeg_quality: int = 92,
    min_severity: float = 0.0,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PhantomSummary:
    """Writes `n` synthetic radiographs below `dest`, and a table of their boxes.

    Image i depends only on (seed, i); its split also depends on `n`. `dest` appears once the data
    set is complete.

    Args:
      dest: new or empty folder.
      n: number of images, at least 1. With 24 or more, every split has every class.
      seed: 0 or more.
      layout: "folders" or "rsna".
      size: width in pixels, 64 to 4096; heights are smaller. Default 320, or 1024 for "rsna".
      jpeg_quality: 1 to 95.
      min_severity: smallest severity of a finding, 0 (barely visible) to 1.
      workers: number of processes.
      overwrite: replace an existing synthetic data set; other folders are never replaced.
      progress: called with (images done, n).

    Returns:
      Counts, and whether an equal data set already existed.

    Raises:
      PneumoError: a parameter is out of range, `dest` has other content, or the layout needs a
        package that is not installed.
    """
    form = LAYOUTS[layout]
    size = form.size if size is None else size
    _check(n, seed, size, jpeg_quality, min_severity, workers)
    form.check()
    dest = Path(dest).resolve()
    notice = notice_text(n, seed, size, jpeg_quality, layout, min_severity)
    plan = form.plan(seed, n)
    if _is_complete(dest, notice, n, form, overwrite):
        with (dest / next(iter(form.tables))).open(newline="") as lines:
            boxes = sum(map(form.is_box, csv.DictReader(lines)))
        return _summary(dest, form, plan, boxes, reused=True)

    try:
        with atomic_folder(dest) as work:
            for folder in form.folders:
                (work / folder).mkdir(parents=True, exist_ok=True)
            for place in {work, work / form.source}:
                (place / NOTICE).write_text(notice)
            jobs = [
                (str(work), form.name, size, seed, jpeg_quality, min_severity, *one) for one in plan
            ]
            boxes = _write_images(work, form, jobs, n, workers, progress)
    except OSError as error:
        raise PneumoError(f"cannot write {dest}: {error.strerror or error}") from error
    return _summary(dest, form, plan, boxes, reused=False)


def notice_text(
    n: int,
    seed: int,
    size: int,
    jpeg_quality: int,
    layout: str = "folders",
    min_severity: float = 0.0,
) -> str:
    """Returns the text of SYNTHETIC.txt: a warning and the parameters of the data set."""
    boxes = next(iter(LAYOUTS[layout].tables))
    named = "" if layout == "folders" else f"layout: {layout}\n"
    if min_severity:
        named += f"min_severity: {min_severity:g}\n"
    return (
        "SYNTHETIC DATA. These images were drawn by a program (pneumo phantom). They show no\n"
        "patient, and say nothing about how well a model reads real radiographs. Use them to try\n"
        "the pipeline, to test it and to load it; never to train or judge a model for patients.\n"
        "\n"
        f"bacteria: focal lobar consolidation; its boxes are in {boxes}.\n"
        "virus: diffuse interstitial pattern on both sides. normal: neither.\n"
        "\n"
        f"generator_version: {VERSION}\n"
        f"images: {n}\nseed: {seed}\nsize: {size}\njpeg_quality: {jpeg_quality}\n{named}"
    )


def _check(
    n: int, seed: int, size: int, jpeg_quality: int, min_severity: float, workers: int
) -> None:
    for name, value, low, high in (
        ("n", n, 1, sys.maxsize),
        ("seed", seed, 0, sys.maxsize),
        ("size", size, SMALLEST, LARGEST),
        ("jpeg_quality", jpeg_quality, 1, 95),
        ("min_severity", min_severity, 0, 1),
        ("workers", workers, 1, sys.maxsize),
    ):
        if not low <= value <= high:
            span = f"at least {low}" if high == sys.maxsize else f"from {low} to {high}"
            raise PneumoError(f"phantom: {name} is {value}; it must be {span}")


def _is_complete(dest: Path, notice: str, n: int, form: FolderLayout, overwrite: bool) -> bool:
    """Whether `dest` is this data set. Raises PneumoError for other content."""
    if not dest.exists() and not dest.is_symlink():
        return False
    if not dest.is_dir():
        raise PneumoError(f"{dest} is a file; give a new folder")
    if dest == Path.cwd():
        raise PneumoError(f"{dest} is the current folder; give a subfolder")
    if not any(dest.iterdir()):
        return False
    if not (dest / NOTICE).is_file():
        raise PneumoError(f"{dest} exists and is not a synthetic data set; give another folder")
    if overwrite:
        return False
    same = (dest / NOTICE).read_text(errors="replace") == notice
    if not same or not all((dest / table).is_file() for table in form.tables):
        raise PneumoError(f"{dest} has other parameters; use --overwrite to replace it")
    images = sum(1 for _ in (dest / form.source).rglob(form.pattern))
    if images != n:
        raise PneumoError(f"{dest} has {images} of {n} images; use --overwrite to write it again")
    return True


Job = tuple[str, str, int, int, int, float, SyntheticPatient, str]


def _write_images(
    work: Path, form: FolderLayout, jobs: list[Job], n: int, workers: int, progress: Progress | None
) -> int:
    """Writes images and tables, in the order of the images; returns the number of boxes."""
    done = boxes = 0
    with ExitStack() as stack:
        tables = {}
        for name, columns in form.tables.items():
            out = stack.enter_context((work / name).open("w", newline=""))
            tables[name] = csv.writer(out, lineterminator="\n")
            tables[name].writerow(columns)
        results: Iterable[list[tuple[int, dict[str, Rows]]]] = map(_write_patient, jobs)
        if workers > 1:
            # "spawn", because forking a process with threads (TensorFlow, Beam) may deadlock.
            pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            chunk = max(1, min(16, len(jobs) // workers))
            results = stack.enter_context(pool).map(_write_patient, jobs, chunksize=chunk)
        for images in results:
            for count, rows in images:
                for name, lines in rows.items():
                    tables[name].writerows(lines)
                boxes += count
            done += len(images)
            if progress is not None:
                progress(done, n)
    return boxes


def _write_patient(job: Job) -> list[tuple[int, dict[str, Rows]]]:
    """Writes the images of a patient; returns the number of boxes and the rows of each."""
    work, name, size, seed, jpeg_quality, min_severity, patient, split = job
    form = LAYOUTS[name]
    written = []
    for k in range(patient.images):
        radiograph = draw_image(seed, patient, k, size, min_severity)
        request = ImageRequest(seed, patient, k, split, jpeg_quality)
        form.save(Path(work) / form.path(request), request, radiograph.pixels)
        written.append((len(radiograph.boxes), form.rows(request, radiograph.boxes)))
    return written


def _summary(
    dest: Path,
    form: FolderLayout,
    plan: list[tuple[SyntheticPatient, str]],
    boxes: int,
    reused: bool,
) -> PhantomSummary:
    splits: dict[str, dict[str, int]] = {split: dict.fromkeys(FOLDERS, 0) for split in form.splits}
    for patient, split in plan:
        splits[split][patient.pathogen] += patient.images
    images = sum(patient.images for patient, _ in plan)
    return PhantomSummary(dest, dest / form.source, images, len(plan), boxes, splits, reused)
