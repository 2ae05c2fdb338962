"""Summary of `pneumo ingest` on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from core.images.dicom.notes import NOTES
from core.ingest.summary import IngestSummary
from schema.labels import PATHOGENS
from serving import NOTICE


def print_summary(summary: IngestSummary) -> None:
    """Prints counts, rejects and leaks as tables."""
    console = Console()
    kind = "SYNTHETIC images, not patients. " if summary.synthetic else ""
    reused = " (exists already, unchanged)" if summary.reused else ""
    console.print(f"{kind}Data set {summary.dest}{reused}", soft_wrap=True)
    columns = [p for p in PATHOGENS if any(p in c for c in summary.splits.values())]
    unknown = any(summary.unknown_patients.values())
    more = ["images of unknown patients"] if unknown else []
    table = Table("split", *columns, "images", "patients", *more)
    for split, counts in summary.splits.items():
        cells = [str(counts.get(p, 0)) for p in columns]
        cells += [str(sum(counts.values())), str(summary.patients[split])]
        table.add_row(split, *cells, *([str(summary.unknown_patients[split])] if unknown else []))
    console.print(table)
    skipped = sum(summary.skipped.values())
    console.print(
        f"{summary.found} files found = {summary.written} written + {summary.rejected} rejected"
        f" + {skipped} skipped; split policy {summary.policy}",
        soft_wrap=True,
    )
    if summary.boxes.get("read"):
        boxes = summary.boxes
        images = sum(split["images"] for split in boxes["splits"].values())
        reasons = ", ".join(f"{reason} {n}" for reason, n in boxes["reasons"].items())
        console.print(
            f"{boxes['read']} boxes read = {boxes['written']} written (in {images} images, "
            f"{boxes['clipped']} clipped) + {boxes['rejected']} rejected"
            + (f": {reasons}" if reasons else ""),
            soft_wrap=True,
        )
    if summary.dicom:
        console.print(_dicom_line(summary.dicom), soft_wrap=True)
        if notes := summary.dicom.get("notes"):
            table = Table("note on DICOM files", "files")
            for code, n in notes.items():
                table.add_row(f"{code}: {NOTES.get(code, '')}", str(n))
            console.print(table)
    if summary.skipped:
        listed = ", ".join(f"{name} {n}" for name, n in summary.skipped.items())
        console.print(f"skipped: {listed}", soft_wrap=True, markup=False)
    if summary.rejected:
        rejects = Table("reason of rejection", "files")
        for reason, n in summary.reasons.items():
            rejects.add_row(reason, str(n))
        console.print(rejects)
        console.print(f"rejected files: {summary.dest / 'rejects.jsonl'}", soft_wrap=True)
    leaks = Table("leakage", "found")
    for name, n in summary.leakage.items():
        leaks.add_row(name.replace("_", " "), str(n))
    console.print(leaks)
    state = _leak_state(summary, unknown)
    console.print(f"{state}; details: {summary.dest / 'leakage.json'}", soft_wrap=True)
    for warning in [*summary.warnings, *summary.unknown_classes]:
        console.print(f"warning: {warning}", soft_wrap=True, markup=False)
    console.print(NOTICE)


def _leak_state(summary: IngestSummary, unknown: bool) -> str:
    if not summary.leakage_ok:
        return "THE SPLITS LEAK"
    if unknown:
        return "no leak found, but patients are unknown (see the warning)"
    return "nothing leaks between the splits"


def _dicom_line(counts: dict[str, Any]) -> str:
    lines = [f"{counts['written']} DICOM files: only pixels and allow-listed tags are stored"]
    if counts["replaced_names"]:
        lines.append(f"{counts['replaced_names']} names that identify the patient were replaced")
    if counts.get("hashed_patients") and not counts["salted"]:
        lines.append(
            "patient keys are hashed WITHOUT a salt, so a guessed id can be confirmed: "
            "set PNEUMO_PATIENT_SALT"
        )
    return "; ".join([*lines, "text burned into the pixels is not detected"])
