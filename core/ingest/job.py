"""`ingest`: from a folder of images to a finished data set, in three steps.

1. Check: every file is read, decoded and measured (Beam, chunks of files).
2. Plan: the driver assigns splits, searches for leaks and lists the shards (SQLite on disk).
3. Write: every image is read again and written into its shard (Beam, one shard per task). Read
   again, because the shard of an image is known only after all checks, and a copy of all images
   would double the disk use.

Pixels never leave the worker that decodes them, so memory does not grow with the number of images.
Everything is written to a folder beside the destination that is renamed at the end. After a kill,
the same command reuses the finished chunks.
"""

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.images.dicom.read import require_pydicom
from core.ingest.catalog.database import Catalog
from core.ingest.existing import (
    box_table,
    check_free,
    check_paths,
    identity_of,
    leak_message,
    reusable,
)
from core.ingest.file_record import read_records
from core.ingest.options import IngestOptions
from core.ingest.records.chunks import CheckSettings, read_chunk, write_chunks
from core.ingest.records.manifest import write_manifest
from core.ingest.records.shards import sort_key, write_shard_lists
from core.ingest.records.work_folder import WorkFolder
from core.ingest.scan import Fingerprint, SourceEntry, scan
from core.ingest.source.boxes import read_boxes
from core.ingest.source.labels import label_files
from core.ingest.splits.leakage import LeakageError, leakage_report
from core.ingest.splits.policy import assign_splits, choose_policy
from core.ingest.summary import FILE, IngestSummary, read_summary
from schema.errors import PneumoError, root_cause
from schema.files import atomic_file, json_line, try_lock

__all__ = ["IngestSummary", "ingest", "read_summary"]

Progress = Callable[[str, int, int], None]


def ingest(
    source: str | Path,
    dest: str | Path,
    options: IngestOptions,
    *,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    overwrite: bool = False,
) -> IngestSummary:
    """Writes the data set `dest` from the images below `source`.

    Args:
      source: folder of images; never written to.
      dest: folder of the data set. An existing data set of the same source and options is left
        unchanged, and its summary is returned with `reused`.
      options: layout, split, checks.
      beam_args: options of Beam; the workers of the runner must share the file system.
      progress: called with phase (scan, check, compare, write; verify of an existing data set),
        done and total (0: unknown).
      overwrite: replace an existing data set.

    Raises:
      PneumoError: the source can't be used, or the destination can't be written.
      LeakageError: the splits leak and options.on_leak is "fail".
    """
    source, dest = Path(source).resolve(), Path(os.path.abspath(dest))  # noqa: PTH100, keeps links
    check_paths(source, dest, options)
    identity = identity_of(source, options)
    if (dest / FILE).is_file():
        existing = reusable(source, dest, options, identity, progress, overwrite)
        if existing is not None:
            return existing
    check_free(dest, overwrite)
    work = WorkFolder(dest.parent / f".{dest.name}.ingest")
    with _locked(work):
        run = _Run(source, dest, options, work, beam_args, progress or (lambda *_: None), identity)
        summary = run.write_dataset()
        _publish(work, dest)
    return summary.model_copy(update={"dest": dest})


@contextlib.contextmanager
def _locked(work: WorkFolder) -> Iterator[None]:
    """Creates the work folder and keeps other runs out of it."""
    try:
        work.root.mkdir(parents=True, exist_ok=True)
        lock = (work.root / "lock").open("w")
    except OSError as error:
        raise PneumoError(f"can't write to {work.root.parent}: {error.strerror}") from None
    with lock:
        if not try_lock(lock):
            raise PneumoError(
                f"another ingest is writing to this destination (lock in {work.root})"
            )
        yield


def _publish(work: WorkFolder, dest: Path) -> None:
    if dest.exists():
        dest.rename(work.root / "old")
    work.out.rename(dest)
    shutil.rmtree(work.root, ignore_errors=True)


@dataclass
class _Run:
    """One run; `write_dataset` has its steps in order."""

    source: Path
    dest: Path
    options: IngestOptions
    work: WorkFolder
    beam_args: Sequence[str]
    progress: Progress
    identity: tuple[str, ...]
    listing: Fingerprint = field(default_factory=Fingerprint)

    def write_dataset(self) -> IngestSummary:
        """Writes the data set to work.out and returns its summary."""
        self.work.clean()
        catalog = Catalog(self.work.catalog)
        try:
            catalog.files.add_entries(self._entries())
            layout = label_files(catalog, self.source, self.options)
            table = box_table(self.source, self.options)
            if table:
                catalog.boxes.clear()  # of the RSNA layout
                read_boxes(catalog, table)
            catalog.boxes.match_files(self.source, table.parent if table else self.source)
            policy = choose_policy(catalog, layout, self.options)
            if catalog.files.has_dicom():
                require_pydicom()
            self._check(catalog, layout)
            catalog.boxes.clip()
            if not catalog.files.count_usable():
                raise self._no_usable_image(catalog)
            self.progress("compare", 0, 0)
            assign_splits(catalog, policy, self.options)
            leakage = self._leakage(catalog, policy)
            shards = list(write_shard_lists(catalog, self.work, self.options.images_per_shard))
            self._beam("write", shards, catalog.files.count_usable())
            fields = {
                "layout": layout,
                "policy": policy,
                "leakage": leakage["counts"],
                "leakage_ok": leakage["ok"],
                "source_fingerprint": self.listing.hexdigest(*self.identity),
            }
            summary = write_manifest(catalog, self.work, self.source, shards, self.options, fields)
            self._write_rejects(catalog, self.work.out)
            with atomic_file(self.work.out / FILE) as stream:
                stream.write(summary.model_dump_json(indent=1).encode() + b"\n")
            return summary
        finally:
            catalog.close()

    def _entries(self) -> Iterator[SourceEntry]:
        for n, entry in enumerate(scan(self.source), 1):
            self.listing.add(entry)
            if n % 1000 == 0:
                self.progress("scan", n, 0)
            yield entry

    def _check(self, catalog: Catalog, layout: str) -> None:
        settings = CheckSettings(
            max_pixels=self.options.max_pixels,
            min_side=self.options.min_side,
            secondary=self.options.dicom_secondary,
            # The file names of the RSNA challenge are arbitrary ids.
            hide_names=self.options.dicom_names == "auto" and layout != "rsna",
            salt_digest=self.identity[-1],
        )
        names = list(write_chunks(catalog.files.labeled(), self.work, settings))
        pending = [n for n in names if not (self.work.checks / f"{n}.jsonl").is_file()]
        total = catalog.files.count_labeled()
        done = total - sum(len(read_chunk(self.work, name)[0]) for name in pending)
        self._beam("check", pending, total, done)
        for name in names:
            for result in read_records(self.work.checks / f"{name}.jsonl"):
                catalog.files.add_check(result, sort_key(result, self.options.seed))

    def _beam(self, step: str, names: list[str], total: int, done: int = 0) -> None:
        self.work.ticks.write_bytes(b"")
        if not names:
            self.progress(step, total, total)
            return
        from core.ingest.records import beam

        with _watch(self.work.ticks, lambda n: self.progress(step, min(done + n, total), total)):
            try:
                salt = self.options.patient_salt.get_secret_value()
                beam.run(step, names, self.work, self.source, self.beam_args, salt)
            except Exception as error:
                raise self._engine_error(str(error)) or error from None
        results = {"check": (self.work.checks, ".jsonl"), "write": (self.work.out, "")}
        folder, suffix = results[step]
        if any(not (folder / f"{name}{suffix}").is_file() for name in names):
            raise self._not_shared()

    def _engine_error(self, message: str) -> PneumoError | None:
        """Converts errors of an engine that a user can fix to a one-line PneumoError."""
        if "No space left on device" in message:
            return PneumoError(
                f"no space left beside {self.dest}; free some space and repeat the command"
            )
        if "FileNotFoundError" in message and str(self.work.root) in message:
            return self._not_shared()
        cause = root_cause(message)
        if cause is not None and cause[0] == PneumoError.__name__:
            return PneumoError(cause[1])
        _, failed, state = message.partition(" failed in state ")  # Beam, of a remote job
        if failed or cause:
            state = (": ".join(cause) if cause else " ".join(state.split()))[:300]
            return PneumoError(f"the engine's job failed: {state}; repeat the command to resume")
        return None

    def _not_shared(self) -> PneumoError:
        return PneumoError(
            f"the engine's workers do not share {self.work.root} with this machine; mount "
            f"{self.source} and {self.dest.parent} on the workers at the same paths, or use "
            "--engine direct"
        )

    def _no_usable_image(self, catalog: Catalog) -> PneumoError:
        path = self._write_rejects(catalog, self.work.root)
        reasons = ", ".join(f"{reason} {n}" for reason, n in catalog.files.reject_reasons().items())
        first = next(catalog.files.rejects(), None)
        example = f"; the first: {first['file']}: {first['detail']}" if first else ""
        return PneumoError(
            f"{self.source}: no usable image ({reasons or 'none found'}){example}; see {path}"
        )

    def _write_rejects(self, catalog: Catalog, folder: Path) -> Path:
        path = folder / "rejects.jsonl"
        with atomic_file(path) as stream:
            stream.writelines(map(json_line, catalog.files.rejects()))
            stream.writelines(map(json_line, catalog.boxes.rejects()))
        return path

    def _leakage(self, catalog: Catalog, policy: str) -> dict[str, Any]:
        distance = self.options.near_duplicate_distance
        report = leakage_report(catalog, policy, distance, self.work.root)
        stops = self.options.on_leak == "fail" and not report["ok"]
        path = (self.work.root if stops else self.work.out) / "leakage.json"
        with atomic_file(path) as stream:
            stream.write(json.dumps(report, indent=1).encode() + b"\n")
        if stops:
            raise LeakageError(leak_message(report["counts"], path))
        return report


@contextlib.contextmanager
def _watch(ticks: Path, report: Callable[[int], None]) -> Iterator[None]:
    """Calls `report` with the size of a file, several times a second."""
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(0.25):
            report(ticks.stat().st_size)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        report(ticks.stat().st_size)
