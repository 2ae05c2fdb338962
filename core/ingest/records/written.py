"""Contents of the finished shards, from the rows that their writers left."""

import contextlib
import hashlib
import os
import platform
from collections import Counter, defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.ingest.catalog import Catalog, shown
from core.ingest.options import IngestOptions
from core.ingest.records.work import VERSION, WorkFolder, json_line, read_lines
from core.ingest.source.boxes import box_counts, reject_boxes
from core.ingest.summary import SYNTHETIC_MARK, IngestSummary
from schema import features as f
from schema.files import atomic
from schema.labels import PATHOGENS


def summarize(
    catalog: Catalog,
    work: WorkFolder,
    source: Path,
    shards: list[str],
    options: IngestOptions,
    facts: dict[str, Any],
) -> IngestSummary:
    """Counts what was written, and writes `manifest.jsonl`, a row for each record.

    Args:
      catalog: of the run; files that could not be written after all are rejected in it.
      work: with the rows of all shards.
      source: folder of images.
      shards: their names, in order.
      options: of the run.
      facts: the fields of IngestSummary that are known before.
    """
    images: dict[str, Counter[str]] = defaultdict(Counter)
    boxed: dict[str, Counter[str]] = defaultdict(Counter)
    dicom: Counter[str] = Counter()
    digests = hashlib.sha256()
    patients = "SELECT split, COUNT(DISTINCT patient) FROM written GROUP BY split"
    catalog.db.execute("CREATE TEMP TABLE written(split, patient, UNIQUE(split, patient))")
    with atomic(work.out / "manifest.jsonl") as manifest:
        for name in shards:
            for row in read_lines(work.rows / f"{name}.jsonl"):
                if "reason" in row:
                    _reject_late(catalog, row)
                    continue
                if "index" not in row:
                    digests.update(f"{name} {row['sha256']}\n".encode())
                    continue
                split, patient = row["split"], row["patient_id"]
                images[split][row["pathogen"]] += 1
                boxed[split].update(images=bool(row["boxes"]), boxes=row["boxes"])
                if "dicom" in row:
                    hashed = patient.startswith(("patient-", "study-"))
                    dicom.update(written=1, hashed_patients=hashed)
                catalog.db.execute("INSERT OR IGNORE INTO written VALUES (?, ?)", (split, patient))
                manifest.write(json_line(row))
    splits = [split for split in f.SPLITS if split in images]
    counted = dict(catalog.db.execute(patients))
    reasons = catalog.reasons()
    salted = bool(options.patient_salt.get_secret_value())
    summary = IngestSummary(
        version=1,
        # Also where phantoms were copied among other images without the mark.
        synthetic=(source / SYNTHETIC_MARK).is_file()
        or catalog.count("state = 'ok' AND source = 'synthetic'") > 0,
        found=catalog.found,
        written=sum(counts.total() for counts in images.values()),
        rejected=sum(reasons.values()),
        reasons=reasons,
        skipped=dict(sorted(catalog.skipped.items())),
        splits={s: {p: images[s][p] for p in PATHOGENS if images[s][p]} for s in splits},
        patients={split: counted[split] for split in splits},
        boxes={**box_counts(catalog), "splits": {split: dict(boxed[split]) for split in splits}},
        dicom={**dicom, "replaced_names": catalog.hidden, "salted": salted} if dicom else {},
        options=options.model_dump(mode="json"),
        seed=options.seed,
        content_sha256=digests.hexdigest(),
        versions=_versions(),
        **facts,
    )
    summary.reconcile()
    return summary


def _reject_late(catalog: Catalog, row: dict[str, Any]) -> None:
    """Rejects a file that could not be written after all, and its boxes."""
    raw = os.fsencode(row["path"])
    name = catalog.db.execute("SELECT shown FROM files WHERE path = ?", (raw,)).fetchone()[0]
    hidden = name != shown(row["path"])
    catalog.reject(name if hidden else row["path"], row["reason"], row["detail"])
    reject_boxes(catalog, "path = ?", raw)


def _versions() -> dict[str, str]:
    out = {"python": platform.python_version(), "records": str(VERSION)}
    for name in ("pneumo-tfx", "apache-beam", "pillow", "numpy", "pydicom"):
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out
