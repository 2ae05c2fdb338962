"""Writes a data set of synthetic radiographs in the layout of the well-known chest X-ray set."""

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from components.phantom.anatomy import sample_anatomy, sample_view
from components.phantom.findings import sample_findings
from components.phantom.plan import FOLDERS, Patient, cohort, relative_path
from components.phantom.render import Radiograph, render
from schema.errors import PneumoError
from schema.features import SPLITS

VERSION: Final = 1  # of the renderer: raised whenever the same seed gives other pixels
NOTICE: Final = "SYNTHETIC.txt"
BOXES: Final = "boxes.csv"
ROOT: Final = "chest_xray"
COMMENT: Final = b"SYNTHETIC chest radiograph drawn by PneumoTFX; not a patient"
BOX_COLUMNS: Final = ("filename", "label", "xmin", "ymin", "xmax", "ymax")
SMALLEST, LARGEST = 64, 4096

Progress = Callable[[int, int], None]
Boxes = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class PhantomSummary:
    """What a data set of phantoms has.

    Attributes:
      dest: its folder; the images are in `dest / "chest_xray"`.
      images: number of images.
      patients: number of patients.
      boxes: number of boxes.
      splits: split -> pathogen -> images.
      reused: the folder was there already, with the same parameters; nothing was written.
    """

    dest: Path
    images: int
    patients: int
    boxes: int
    splits: dict[str, dict[str, int]]
    reused: bool


def draw_image(seed: int, patient: Patient, k: int, size: int, **options: bool) -> Radiograph:
    """Draws the k-th image of a patient; depends on its arguments only.

    Args:
      seed: of the data set.
      patient: from components.phantom.plan.
      k: 0 to patient.images - 1.
      size: width in pixels.
      options: handed to `render`.
    """
    child = np.random.default_rng([seed, 1, patient.index])
    anatomy = sample_anatomy(child)
    findings = sample_findings(child, patient.pathogen)
    rng = np.random.default_rng([seed, 2, patient.first + k])
    return render(anatomy, findings, sample_view(rng), rng, size=size, **options)


def write_phantoms(
    dest: Path,
    n: int,
    seed: int,
    *,
    size: int = 320,
    jpeg_quality: int = 92,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PhantomSummary:
    """Writes `n` synthetic radiographs below `dest / "chest_xray"`, and `dest / "boxes.csv"`.

    Image i depends on (seed, i) alone, whatever `n` and `workers`; only its split depends on `n`.
    The folder appears when it is complete: a run that is killed leaves no `dest`.

    Args:
      dest: folder to make; may exist if it is empty.
      n: images, at least 1. From 24 on each class is in each split.
      seed: 0 or more.
      size: width in pixels, 64 to 4096; the height varies below it.
      jpeg_quality: 1 to 95.
      workers: processes.
      overwrite: replace a data set of phantoms that is there; nothing else is ever replaced.
      progress: called with (images done, n).

    Returns:
      Counts, and whether an equal data set was already there.

    Raises:
      PneumoError: a parameter is out of range, or `dest` holds something else.
    """
    _check(n, seed, size, jpeg_quality, workers)
    dest = Path(dest).resolve()
    notice = notice_text(n, seed, size, jpeg_quality)
    plan = cohort(seed, n)
    if _already_there(dest, notice, n, overwrite):
        with (dest / BOXES).open(newline="") as lines:
            boxes = sum(1 for _ in csv.reader(lines)) - 1
        return _summary(dest, plan, boxes, reused=True)

    _remove_leftovers(dest)
    work = dest.with_name(f".{dest.name}.phantom-{os.getpid()}")
    try:
        root = work / ROOT
        for split in SPLITS:
            for folder in dict.fromkeys(FOLDERS.values()):
                (root / split / folder).mkdir(parents=True, exist_ok=True)
        for place in (work, root):
            (place / NOTICE).write_text(notice)
        boxes = _write_images(work, plan, seed, size, jpeg_quality, workers, progress)
        _put_in_place(work, dest)
    except OSError as error:
        raise PneumoError(f"cannot write {dest}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _summary(dest, plan, boxes, reused=False)


def notice_text(n: int, seed: int, size: int, jpeg_quality: int) -> str:
    """Text of SYNTHETIC.txt: what the folder is, and the parameters that it was made with."""
    return (
        "SYNTHETIC DATA. These images were drawn by a program (pneumo phantom). They show no\n"
        "patient, and say nothing about how well a model reads real radiographs. Use them to try\n"
        "the pipeline, to test it and to load it; never to train or judge a model for patients.\n"
        "\n"
        "bacteria: focal lobar consolidation; its boxes are in boxes.csv.\n"
        "virus: diffuse interstitial pattern on both sides. normal: neither.\n"
        "\n"
        f"generator_version: {VERSION}\n"
        f"images: {n}\nseed: {seed}\nsize: {size}\njpeg_quality: {jpeg_quality}\n"
    )


def _check(n: int, seed: int, size: int, jpeg_quality: int, workers: int) -> None:
    for name, value, low, high in (
        ("n", n, 1, None),
        ("seed", seed, 0, None),
        ("size", size, SMALLEST, LARGEST),
        ("jpeg_quality", jpeg_quality, 1, 95),
        ("workers", workers, 1, None),
    ):
        if value < low or (high is not None and value > high):
            span = f"at least {low}" if high is None else f"from {low} to {high}"
            raise PneumoError(f"phantom: {name} is {value}; it must be {span}")


def _already_there(dest: Path, notice: str, n: int, overwrite: bool) -> bool:
    """True if `dest` is this very data set; raises if it is something that must stay."""
    if not dest.exists() and not dest.is_symlink():
        return False
    if not dest.is_dir():
        raise PneumoError(f"{dest} is a file; give a folder that does not exist yet")
    if dest == Path.cwd():
        raise PneumoError(f"{dest} is the current folder; give a folder below it")
    if not any(dest.iterdir()):
        return False
    if not (dest / NOTICE).is_file():
        raise PneumoError(f"{dest} exists and is no data set of phantoms; give another folder")
    if overwrite:
        return False
    same = (dest / NOTICE).read_text(errors="replace") == notice and (dest / BOXES).is_file()
    if not same:
        raise PneumoError(f"{dest} holds phantoms of other parameters; add --overwrite to replace")
    found = sum(1 for _ in (dest / ROOT).rglob("*.jpeg"))
    if found != n:
        raise PneumoError(f"{dest} has {found} of its {n} images; add --overwrite to redo them")
    return True


def _remove_leftovers(dest: Path) -> None:
    """Removes the work folders of runs that were killed."""
    for left in dest.parent.glob(f".{dest.name}.phantom-*"):
        owner = left.name.rpartition("-")[2]
        if owner.isdigit() and int(owner) != os.getpid() and not _runs(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _put_in_place(work: Path, dest: Path) -> None:
    """Renames `work` to `dest`; what was there is removed after that."""
    if not dest.exists():
        work.rename(dest)
        return
    old = dest.with_name(f"{work.name}-old")
    dest.rename(old)
    try:
        work.rename(dest)
    except OSError:
        old.rename(dest)
        raise
    shutil.rmtree(old)


def _write_images(
    work: Path,
    plan: list[tuple[Patient, str]],
    seed: int,
    size: int,
    jpeg_quality: int,
    workers: int,
    progress: Progress | None,
) -> int:
    """Draws all images and writes boxes.csv in the order of the images; returns the boxes."""
    n = sum(patient.images for patient, _ in plan)
    done = boxes = 0
    jobs = [(str(work / ROOT), seed, size, jpeg_quality, patient, split) for patient, split in plan]
    with (work / BOXES).open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(BOX_COLUMNS)
        for images in _results(jobs, workers):
            for path, label, found in images:
                rows.writerows((path, label, *box) for box in found)
                boxes += len(found)
            done += len(images)
            if progress is not None:
                progress(done, n)
    return boxes


Job = tuple[str, int, int, int, Patient, str]


def _results(jobs: list[Job], workers: int) -> Iterator[list[tuple[str, str, Boxes]]]:
    if workers == 1:
        yield from map(_write_patient, jobs)
        return
    # "spawn": a fork of a process with threads (TensorFlow, Beam) may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_patient, jobs, chunksize=max(1, min(16, len(jobs) // workers)))


def _write_patient(job: Job) -> list[tuple[str, str, Boxes]]:
    from PIL import Image

    root, seed, size, jpeg_quality, patient, split = job
    written = []
    for k in range(patient.images):
        radiograph = draw_image(seed, patient, k, size)
        path = relative_path(patient, k, split)
        Image.fromarray(radiograph.pixels).save(
            Path(root) / path, "JPEG", quality=jpeg_quality, comment=COMMENT
        )
        written.append((path, patient.pathogen, radiograph.boxes))
    return written


def _summary(
    dest: Path, plan: list[tuple[Patient, str]], boxes: int, reused: bool
) -> PhantomSummary:
    splits: dict[str, dict[str, int]] = {split: dict.fromkeys(FOLDERS, 0) for split in SPLITS}
    for patient, split in plan:
        splits[split][patient.pathogen] += patient.images
    images = sum(patient.images for patient, _ in plan)
    return PhantomSummary(dest, images, len(plan), boxes, splits, reused)
