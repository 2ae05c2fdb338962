"""`ingest`: from a folder of images to a finished data set, in three passes.

1. Check: every file is read, decoded and measured (Beam, chunks of files).
2. Plan: the driver draws the splits, looks for leaks, lays out the shards (SQLite on disk).
3. Write: every image is read again and goes into its shard (Beam, one shard per element).

Pixels never leave the worker that decodes them, so memory does not grow with the number of images.
Everything is written to a folder beside the destination and renamed at the end. After a kill the
same command reuses the finished chunks.
"""

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.images.dicom.read import needs_pydicom
from core.ingest.catalog import Catalog
from core.ingest.options import IngestOptions
from core.ingest.records.shards import shard_lists
from core.ingest.records.work import WorkFolder, chunk_lists, json_line, read_lines
from core.ingest.records.written import summarize
from core.ingest.reuse import (
    box_table,
    check_free,
    check_paths,
    identity_of,
    leak_line,
    reuse,
)
from core.ingest.scan import Entry, Fingerprint, scan
from core.ingest.source.boxes import place_boxes, read_boxes, rejected_boxes, settle_boxes
from core.ingest.source.labels import place_files
from core.ingest.splits.assign import choose_policy, split_files
from core.ingest.splits.leakage import LeakageError, leakage_report
from core.ingest.summary import FILE, IngestSummary, read_summary
from schema.errors import PneumoError
from schema.files import atomic, take_lock

__all__ = ["IngestSummary", "ingest", "read_summary"]

Progress = Callable[[str, int, int], None]
_DICOM = "state = 'todo' AND (shown LIKE '%.dcm' OR shown LIKE '%.dicom')"


def ingest(
    source: Path,
    dest: Path,
    options: IngestOptions,
    *,
    beam_args: Sequence[str] = (),
    progress: Progress | None = None,
    overwrite: bool = False,
) -> IngestSummary:
    """Makes the data set `dest` from the images below `source`.

    Args:
      source: folder of images; never written to.
      dest: folder of the data set. If it exists already, made from the same source with the same
        options, it is left and its summary returned with `reused`.
      options: layout, split, checks.
      beam_args: options of Beam; any runner whose workers share the file system will do.
      progress: called with phase (scan, check, compare, write), done and total (0: unknown).
      overwrite: replace an existing data set.

    Raises:
      PneumoError: the source can't be used, or the destination is in the way.
      LeakageError: the splits leak and options.on_leak is "fail".
    """
    source, dest = source.resolve(), Path(os.path.abspath(dest))  # noqa: PTH100, keeps links
    check_paths(source, dest, options)
    identity = identity_of(source, options)
    if (dest / FILE).is_file():
        reused = reuse(source, dest, options, identity)
        if reused is not None:
            return reused
    check_free(dest, overwrite)
    work = WorkFolder(dest.parent / f".{dest.name}.ingest")
    with _locked(work):
        run = _Run(source, dest, options, work, beam_args, progress or (lambda *_: None), identity)
        summary = run.make()
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
        if not take_lock(lock):
            raise PneumoError(f"another ingest is writing there (lock in {work.root})")
        yield


def _publish(work: WorkFolder, dest: Path) -> None:
    if dest.exists():
        dest.rename(work.root / "old")
    work.out.rename(dest)
    shutil.rmtree(work.root, ignore_errors=True)


@dataclass
class _Run:
    """One run; the steps in `make`, from top to bottom."""

    source: Path
    dest: Path
    options: IngestOptions
    work: WorkFolder
    beam_args: Sequence[str]
    progress: Progress
    identity: tuple[str, ...]
    listing: Fingerprint = field(default_factory=Fingerprint)

    def make(self) -> IngestSummary:
        """Fills work.out and returns its summary."""
        self._clean()
        catalog = Catalog(self.work.catalog)
        try:
            catalog.add_entries(self._entries())
            layout = place_files(catalog, self.source, self.options)
            if table := box_table(self.source, self.options):
                # A given table replaces that of the RSNA layout.
                catalog.db.execute("DELETE FROM boxes")
                read_boxes(catalog, table)
            place_boxes(catalog)
            policy = choose_policy(catalog, layout, self.options)
            if catalog.count(_DICOM):
                needs_pydicom()
            self._check(catalog, layout)
            settle_boxes(catalog)
            if not catalog.count("state = 'ok'"):
                raise self._nothing_left(catalog)
            self.progress("compare", 0, 0)
            split_files(catalog, policy, self.options)
            leakage = self._leakage(catalog, policy)
            shards = list(shard_lists(catalog, self.work, self.options.images_per_shard))
            self._beam("write", shards, catalog.count("state = 'ok'"))
            facts = {
                "layout": layout,
                "policy": policy,
                "leakage": leakage["counts"],
                "leakage_ok": leakage["ok"],
                "source_fingerprint": self.listing.hexdigest(*self.identity),
            }
            summary = summarize(catalog, self.work, self.source, shards, self.options, facts)
            self._write_rejects(catalog, self.work.out)
            with atomic(self.work.out / FILE) as stream:
                stream.write(summary.model_dump_json(indent=1).encode() + b"\n")
            return summary
        finally:
            catalog.close()

    def _clean(self) -> None:
        """Keeps of an earlier, killed run what this one can use: finished chunks."""
        for folder in (self.work.out, self.work.rows, self.work.lists):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.work.out, self.work.rows, self.work.lists, self.work.checks):
            folder.mkdir(exist_ok=True)
        for partial in self.work.checks.glob("*.partial"):
            partial.unlink()

    def _entries(self) -> Iterator[Entry]:
        for n, entry in enumerate(scan(self.source), 1):
            self.listing.add(entry)
            if n % 1000 == 0:
                self.progress("scan", n, 0)
            yield entry

    def _check(self, catalog: Catalog, layout: str) -> None:
        settings = {
            "max_pixels": self.options.max_pixels,
            "min_side": self.options.min_side,
            "secondary": self.options.dicom_secondary,
            # The challenge's ids, which are its file names too, are made up.
            "hide": self.options.dicom_names == "auto" and layout != "rsna",
            "salted": self.identity[-1],
        }
        names = list(chunk_lists(catalog.todo(), self.work, settings))
        open_names = [n for n in names if not (self.work.checks / f"{n}.jsonl").is_file()]
        lists = [self.work.lists / f"{name}.json" for name in open_names]
        total = catalog.count("state = 'todo'")
        done = total - sum(len(json.loads(path.read_bytes())["files"]) for path in lists)
        self._beam("check", open_names, total, done)
        for name in names:
            for row in read_lines(self.work.checks / f"{name}.jsonl"):
                if "sha256" in row:
                    # The order of the records is fixed by seed and content.
                    rank = hashlib.sha256(f"{self.options.seed}:{row['sha256']}".encode())
                    row["rank"] = rank.hexdigest()[:16]
                catalog.add_result(row)

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
        """One line for the errors of engines that a user can repair."""
        if "No space left on device" in message:
            return PneumoError(
                f"no space left beside {self.dest}; make room, the same command goes on"
            )
        if "FileNotFoundError" in message and str(self.work.root) in message:
            return self._not_shared()
        _, failed, what = message.partition(" failed in state ")  # Beam, of a remote job
        if failed:
            what = " ".join(what.split())[:300]
            return PneumoError(f"the engine gave the job up: {what}; the same command goes on")
        return None

    def _not_shared(self) -> PneumoError:
        return PneumoError(
            f"the engine's workers do not see {self.work.root}, or another folder of that name; "
            f"ingest needs workers that share {self.source} and {self.dest.parent} with this "
            "machine: mount both there at the same paths, or take --engine direct"
        )

    def _nothing_left(self, catalog: Catalog) -> PneumoError:
        path = self._write_rejects(catalog, self.work.root)
        reasons = ", ".join(f"{reason} {n}" for reason, n in catalog.reasons().items())
        return PneumoError(
            f"{self.source}: no usable image ({reasons or 'none found'}); see {path}"
        )

    def _write_rejects(self, catalog: Catalog, folder: Path) -> Path:
        path = folder / "rejects.jsonl"
        with atomic(path) as stream:
            stream.writelines(map(json_line, catalog.rejects()))
            stream.writelines(map(json_line, rejected_boxes(catalog)))
        return path

    def _leakage(self, catalog: Catalog, policy: str) -> dict[str, Any]:
        distance = self.options.near_duplicate_distance
        report = leakage_report(catalog, policy, distance, self.work.root)
        stops = self.options.on_leak == "fail" and not report["ok"]
        path = (self.work.root if stops else self.work.out) / "leakage.json"
        with atomic(path) as stream:
            stream.write(json.dumps(report, indent=1).encode() + b"\n")
        if stops:
            raise LeakageError(leak_line(report["counts"], path))
        return report


@contextlib.contextmanager
def _watch(ticks: Path, tell: Callable[[int], None]) -> Iterator[None]:
    """Calls `tell` with the size of a file, several times a second."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.25):
            tell(ticks.stat().st_size)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        tell(ticks.stat().st_size)
