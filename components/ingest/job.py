"""`ingest`: from a folder of images to a finished data set, in three passes.

1. Check: every file is read, decoded and measured (Beam, chunks of files).
2. Plan: the driver draws the splits, looks for leaks, lays out the shards (SQLite on disk).
3. Write: every image is read again and goes into its shard (Beam, one shard per element).

Pixels never leave the worker that decodes them, so memory does not grow with the number of images.
Everything is made in a folder beside the destination and renamed at the end. After a kill the same
command takes up the finished chunks.
"""

import contextlib
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from components.dicom.read import needs_pydicom
from components.ingest.boxes import (
    box_counts,
    boxes_of,
    place_boxes,
    read_boxes,
    rejected_boxes,
    settle_boxes,
)
from components.ingest.catalog import Catalog
from components.ingest.leakage import LeakageError, leakage_report
from components.ingest.options import IngestOptions
from components.ingest.placing import place_files
from components.ingest.reuse import (
    SYNTHETIC_MARK,
    box_table,
    check_free,
    check_paths,
    identity_of,
    leak_line,
    reuse,
)
from components.ingest.scan import Entry, Fingerprint, scan
from components.ingest.splitting import choose_policy, split_files
from components.ingest.summary import FILE, IngestSummary, read_summary
from components.ingest.work import VERSION, WorkFolder, atomic, chunk_lists, json_line, read_lines
from components.ingest.written import Written
from schema import features as f
from schema.errors import PneumoError
from schema.files import take_lock

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
      dest: folder to be made. If it is there already, made from the same source with the same
        options, it is left and its summary returned with `reused`.
      options: how.
      beam_args: options of Beam; any runner whose workers share the file system will do.
      progress: called with phase (scan, check, compare, write), done and total (0: not known).
      overwrite: replace a data set that is there.

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
    """Makes the work folder and keeps other runs out of it."""
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
        old = work.root / "old"
        dest.rename(old)
    work.out.rename(dest)
    shutil.rmtree(work.root, ignore_errors=True)


class _Run:
    """One run; the steps in `make`, from top to bottom."""

    def __init__(
        self,
        source: Path,
        dest: Path,
        options: IngestOptions,
        work: WorkFolder,
        beam_args: Sequence[str],
        progress: Progress,
        identity: tuple[str, ...],
    ) -> None:
        self.source, self.dest, self.options, self.work = source, dest, options, work
        self.beam_args, self.progress, self.identity = beam_args, progress, identity
        self.hashed = Fingerprint()

    def make(self) -> IngestSummary:
        """Fills work.out and returns its summary."""
        self._clean()
        catalog = Catalog(self.work.catalog)
        try:
            catalog.add_entries(self._listing())
            layout = place_files(catalog, self.source, self.options)
            if table := box_table(self.source, self.options):
                # What is given counts alone: the RSNA layout has a table of its own.
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
            shards = list(self._plan(catalog))
            self._beam("write", shards, catalog.count("state = 'ok'"))
            return self._finish(catalog, shards, layout, policy, leakage)
        finally:
            catalog.close()

    def _clean(self) -> None:
        """Leaves of an earlier, killed run what this one can use: finished chunks."""
        for folder in (self.work.out, self.work.rows, self.work.lists):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.work.out, self.work.rows, self.work.lists, self.work.checks):
            folder.mkdir(exist_ok=True)
        for partial in self.work.checks.glob("*.partial"):
            partial.unlink()

    def _listing(self) -> Iterator[Entry]:
        for n, entry in enumerate(scan(self.source), 1):
            self.hashed.add(entry)
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
        total = catalog.count("state = 'todo'")
        done = total - sum(self._length(name) for name in open_names)
        self._beam("check", open_names, total, done)
        for name in names:
            for row in read_lines(self.work.checks / f"{name}.jsonl"):
                if "sha256" in row:
                    row["rank"] = _rank(self.options.seed, row["sha256"])
                catalog.add_result(row)

    def _length(self, name: str) -> int:
        return len(json.loads((self.work.lists / f"{name}.json").read_bytes())["files"])

    def _beam(self, step: str, names: list[str], total: int, done: int = 0) -> None:
        self.work.ticks.write_bytes(b"")
        if not names:
            self.progress(step, total, total)
            return
        from components.ingest import beam  # seconds of import, so only where there is work

        with _watch(self.work.ticks, lambda n: self.progress(step, min(done + n, total), total)):
            try:
                salt = self.options.patient_salt.get_secret_value()
                beam.run(step, names, self.work, self.source, self.beam_args, salt)
            except Exception as error:
                if "No space left on device" in str(error):
                    raise PneumoError(
                        f"no space left beside {self.dest}; make room, the same command goes on"
                    ) from None
                if "FileNotFoundError" in str(error) and str(self.work.root) in str(error):
                    raise self._not_shared() from None
                if " failed in state " in str(error):  # what Beam says of a job elsewhere
                    what = " ".join(str(error).partition(" failed in state ")[2].split())
                    raise PneumoError(
                        f"the engine gave the job up: {what[:300]}; the same command goes on"
                    ) from None
                raise
        results = {"check": (self.work.checks, ".jsonl"), "write": (self.work.out, "")}
        folder, suffix = results[step]
        if any(not (folder / f"{name}{suffix}").is_file() for name in names):
            raise self._not_shared()

    def _not_shared(self) -> PneumoError:
        return PneumoError(
            f"the engine's workers do not see {self.work.root}, or another folder of that name; "
            f"ingest needs workers that share {self.source} and {self.dest.parent} with this "
            "machine: mount both there at the same paths, or take --engine direct"
        )

    def _nothing_left(self, catalog: Catalog) -> PneumoError:
        path = self.work.root / "rejects.jsonl"
        with atomic(path) as stream:
            stream.writelines(json_line(row) for row in catalog.rejects())
        reasons = ", ".join(f"{reason} {n}" for reason, n in catalog.reasons().items())
        return PneumoError(
            f"{self.source}: no usable image ({reasons or 'none found'}); see {path}"
        )

    def _leakage(self, catalog: Catalog, policy: str) -> dict[str, Any]:
        report = leakage_report(
            catalog, policy, self.options.near_duplicate_distance, self.work.root
        )
        stops = self.options.on_leak == "fail" and not report["ok"]
        path = (self.work.root if stops else self.work.out) / "leakage.json"
        with atomic(path) as stream:
            stream.write(json.dumps(report, indent=1).encode() + b"\n")
        if stops:
            raise LeakageError(leak_line(report["counts"], path))
        return report

    def _plan(self, catalog: Catalog) -> Iterator[str]:
        """Writes the list of each shard and yields its name."""
        size = self.options.images_per_shard
        for split in f.SPLITS:
            n = catalog.count(f"state = 'ok' AND split = '{split}'")
            shards = -(-n // size)
            rows = catalog.db.execute(
                "SELECT path, shown, mtime, size, sha256, pixels, phash, pathogen, patient, source,"
                " facts, id FROM files WHERE state = 'ok' AND split = ? ORDER BY rank, shown",
                (split,),
            )
            for shard in range(shards):
                name = f"{split}-{shard:05d}-of-{shards:05d}.tfrecord"
                with atomic(self.work.lists / f"{name}.jsonl") as stream:
                    for *row, file_id in rows.fetchmany(size):
                        planned = _planned(row, boxes_of(catalog, file_id))
                        stream.write(json_line(planned))
                yield name

    def _finish(
        self, catalog: Catalog, shards: list[str], layout: str, policy: str, leakage: dict[str, Any]
    ) -> IngestSummary:
        written = Written.of(catalog, self.work, shards)
        with atomic(self.work.out / "rejects.jsonl") as stream:
            stream.writelines(json_line(row) for row in catalog.rejects())
            stream.writelines(json_line(row) for row in rejected_boxes(catalog))
        reasons = catalog.reasons()
        salted = bool(self.options.patient_salt.get_secret_value())
        summary = IngestSummary(
            version=1,
            # Also where phantoms were copied among other images without the mark.
            synthetic=(self.source / SYNTHETIC_MARK).is_file()
            or catalog.count("state = 'ok' AND source = 'synthetic'") > 0,
            found=catalog.found,
            written=written.images,
            rejected=sum(reasons.values()),
            reasons=reasons,
            skipped=dict(sorted(catalog.skipped.items())),
            splits=written.splits(),
            patients=written.patients,
            boxes={**box_counts(catalog), "splits": written.boxes()},
            dicom={**written.dicom, "replaced_names": catalog.hidden, "salted": salted}
            if written.dicom
            else {},
            leakage=leakage["counts"],
            leakage_ok=leakage["ok"],
            options=self.options.model_dump(mode="json"),
            seed=self.options.seed,
            policy=policy,
            layout=layout,
            source_fingerprint=self.hashed.hexdigest(*self.identity),
            content_sha256=written.content_sha256,
            versions=_versions(),
        )
        summary.reconcile()
        with atomic(self.work.out / FILE) as stream:
            stream.write(summary.model_dump_json(indent=1).encode() + b"\n")
        return summary


def _rank(seed: int, sha256: str) -> str:
    """Place of a record among the others; fixed by seed and content."""
    return hashlib.sha256(f"{seed}:{sha256}".encode()).hexdigest()[:16]


def _planned(
    row: Sequence[Any], boxes: Sequence[tuple[float, float, float, float]]
) -> dict[str, Any]:
    path, name, mtime, size, sha256, pixels, phash, pathogen, patient, source, facts = row
    return {
        "path": os.fsdecode(path),
        "mtime": mtime,
        "size": size,
        "filename": name,
        "sha256": sha256,
        "pixel_hash": pixels,
        "perceptual_hash": phash.hex(),
        "pathogen": pathogen,
        "patient_id": patient,
        "source": source,
        "boxes": boxes,
        **json.loads(facts),
    }


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    out = {"python": platform.python_version(), "records": str(VERSION)}
    for name in ("pneumo-tfx", "apache-beam", "pillow", "numpy", "pydicom"):
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out


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
