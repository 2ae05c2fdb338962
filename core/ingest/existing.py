"""Checks before a run: paths, identity of the source, and an existing data set to reuse."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.ingest.options import IngestOptions
from core.ingest.records.integrity import check_shards
from core.ingest.records.work_folder import FORMAT_VERSION
from core.ingest.scan import fingerprint, scan
from core.ingest.source.boxes import PHANTOM_TABLE
from core.ingest.splits.leakage import LeakageError
from core.ingest.summary import FILE, SYNTHETIC_MARK, IngestSummary, read_summary
from schema.errors import PneumoError
from schema.files import sha256_of_file


def check_paths(source: Path, dest: Path, options: IngestOptions) -> None:
    """Raises PneumoError if a path is missing, or source and destination overlap."""
    if not source.is_dir():
        state = "is a file; unpack it and give the folder" if source.exists() else "does not exist"
        raise PneumoError(f"source {source} {state}")
    real = dest.resolve()
    if real == source or source in real.parents or real in source.parents:
        raise PneumoError(f"destination {dest} and source {source} overlap; give separate folders")
    if options.manifest is not None and not options.manifest.is_file():
        raise PneumoError(f"manifest {options.manifest} does not exist")
    if options.boxes is not None and not options.boxes.is_file():
        raise PneumoError(f"boxes {options.boxes} does not exist")


def identity_of(source: Path, options: IngestOptions) -> tuple[str, ...]:
    """Returns what the fingerprint of a source covers besides the listing."""
    synthetic = str((source / SYNTHETIC_MARK).is_file())
    manifest = sha256_of_file(options.manifest) if options.manifest else ""
    table = box_table(source, options)
    boxes = sha256_of_file(table) if table else ""
    salt = options.patient_salt.get_secret_value()
    salt_digest = hashlib.sha256(f"salt:{salt}".encode()).hexdigest() if salt else ""
    return (f"v{FORMAT_VERSION}", synthetic, manifest, boxes, salt_digest)


def box_table(source: Path, options: IngestOptions) -> Path | None:
    """Returns the table of boxes: that of the options, or of a folder of phantoms."""
    if options.boxes is not None:
        return options.boxes
    if (source / SYNTHETIC_MARK).is_file():
        for path in (source / PHANTOM_TABLE, source.parent / PHANTOM_TABLE):
            if path.is_file():
                return path
    return None


def _comparable(options: dict[str, Any]) -> dict[str, Any]:
    ignored = {"on_leak", "manifest", "boxes"}
    if options.get("source_column") is None:  # missing in data sets older than the option
        ignored.add("source_column")
    return {k: v for k, v in options.items() if k not in ignored}


def reusable(
    source: Path,
    dest: Path,
    options: IngestOptions,
    identity: tuple[str, ...],
    progress: Callable[[str, int, int], None] | None = None,
    overwrite: bool = False,
) -> IngestSummary | None:
    """Returns the summary of an existing data set of the same source and options, or None.

    Raises:
      LeakageError: its splits leak and options.on_leak is "fail".
      PneumoError: its shards are damaged; with `overwrite` it is not reused instead.
    """
    try:
        summary = read_summary(dest)
    except PneumoError:
        return None
    if _comparable(summary.options) != _comparable(options.model_dump(mode="json")):
        return None
    if summary.source_fingerprint != fingerprint(scan(source), *identity):
        return None
    try:
        check_shards(dest, summary, progress)
    except PneumoError:
        if overwrite:
            return None
        raise
    stop_on_leak(summary, dest, options)
    return summary.model_copy(update={"reused": True})


def stop_on_leak(summary: IngestSummary, dest: Path, options: IngestOptions) -> None:
    """Raises LeakageError if the splits of a data set leak and options.on_leak is "fail"."""
    if options.on_leak == "fail" and not summary.leakage_ok:
        raise LeakageError(leak_message(summary.leakage, dest / "leakage.json"))


def check_free(dest: Path, overwrite: bool) -> None:
    """Raises PneumoError if the destination contains files that must be kept."""
    if not dest.exists():
        return
    if not dest.is_dir():
        raise PneumoError(f"destination {dest} is a file; give another folder")
    if not any(dest.iterdir()):
        return
    if not (dest / FILE).is_file():
        raise PneumoError(
            f"destination {dest} is not empty and not a data set; give another folder"
        )
    if not overwrite:
        raise PneumoError(
            f"destination {dest} contains a data set of another source or other options; "
            "give another folder or repeat `pneumo ingest` with --overwrite"
        )


def leak_message(counts: dict[str, int], where: Path) -> str:
    """Returns the message of a LeakageError."""
    return (
        f"the splits leak ({counts['exact_across_splits']} equal images, "
        f"{counts['near_across_splits']} near duplicates, {counts['patients_in_two_splits']} "
        f"patients in two splits; {counts['contradictory']} contradictory labels); see {where}"
    )
