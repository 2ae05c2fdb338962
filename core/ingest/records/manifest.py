"""Writes the manifest and counts the written records."""

import contextlib
import hashlib
import platform
from collections import Counter, defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.ingest.catalog.database import Catalog
from core.ingest.file_record import read_records
from core.ingest.options import IngestOptions
from core.ingest.records.work_folder import FORMAT_VERSION, WorkFolder
from core.ingest.splits.policy import wanted_splits
from core.ingest.splits.split_warnings import split_warnings
from core.ingest.summary import SYNTHETIC_MARK, IngestSummary
from schema import features as f
from schema.files import atomic_file, json_line
from schema.labels import PATHOGENS


def write_manifest(
    catalog: Catalog,
    work: WorkFolder,
    source: Path,
    shards: list[str],
    options: IngestOptions,
    fields: dict[str, Any],
) -> IngestSummary:
    """Writes `manifest.jsonl`, one row per record, and returns the summary.

    Args:
      catalog: of the run; files that could not be written are rejected in it.
      work: with the rows of all shards.
      source: folder of images.
      shards: their names, in order.
      options: of the run.
      fields: the fields of IngestSummary that are known before.
    """
    images: dict[str, Counter[str]] = defaultdict(Counter)
    boxes: dict[str, Counter[str]] = defaultdict(Counter)
    dicom: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    digests = hashlib.sha256()
    with atomic_file(work.out / "manifest.jsonl") as manifest:
        for name in shards:
            for record in read_records(work.rows / f"{name}.jsonl"):
                if record.reason:
                    catalog.files.reject_late(record.path, record.reason, record.detail)
                    catalog.boxes.reject_file(record.path)
                    continue
                split, patient = record.split, record.patient_id
                images[split][record.pathogen] += 1
                boxes[split].update(images=bool(record.boxes), boxes=len(record.boxes))
                if record.dicom:
                    hashed = patient.startswith(("patient-", "study-"))
                    dicom.update(written=1, hashed_patients=hashed)
                    notes.update(record.dicom.get("notes", []))
                catalog.splits.add_written(split, patient)
                unknown[split] += not record.patient_known
                manifest.write(json_line(record.manifest_row()))
            digest = (work.rows / f"{name}.sha256").read_text()
            digests.update(f"{name} {digest}\n".encode())
    splits = [split for split in f.SPLITS if split in images]
    patients = catalog.splits.written_patients()
    reasons = catalog.files.reject_reasons()
    by_split: dict[str, int] = {split: images[split].total() for split in splits}
    wanted = wanted_splits(fields["policy"], options)
    warnings = split_warnings(by_split, wanted, unknown.total(), catalog.splits.largest_patient())
    salted = bool(options.patient_salt.get_secret_value())
    renamed = catalog.files.renamed
    summary = IngestSummary(
        version=1,
        # A single phantom among other images counts too.
        synthetic=(source / SYNTHETIC_MARK).is_file() or catalog.files.has_synthetic(),
        found=catalog.files.found,
        written=sum(counts.total() for counts in images.values()),
        rejected=sum(reasons.values()),
        reasons=reasons,
        skipped=dict(sorted(catalog.files.skipped.items())),
        delivered=catalog.delivered.read(),
        splits={s: {p: images[s][p] for p in PATHOGENS if images[s][p]} for s in splits},
        patients={split: patients[split] for split in splits},
        unknown_patients={split: unknown[split] for split in splits},
        warnings=warnings,
        unknown_classes=catalog.files.unknown_classes(),
        boxes={**catalog.boxes.counts(), "splits": {split: dict(boxes[split]) for split in splits}},
        dicom=_dicom_counts(dicom, notes) | {"replaced_names": renamed, "salted": salted}
        if dicom
        else {},
        options=options.model_dump(mode="json"),
        seed=options.seed,
        content_sha256=digests.hexdigest(),
        versions=_versions(),
        **fields,
    )
    summary.reconcile()
    return summary


def _dicom_counts(counts: Counter[str], notes: Counter[str]) -> dict[str, Any]:
    return {**counts, **({"notes": dict(sorted(notes.items()))} if notes else {})}


def _versions() -> dict[str, str]:
    out = {"python": platform.python_version(), "records": str(FORMAT_VERSION)}
    for name in ("pneumo-tfx", "apache-beam", "pillow", "numpy", "pydicom"):
        with contextlib.suppress(PackageNotFoundError):
            out[name] = version(name)
    return out
