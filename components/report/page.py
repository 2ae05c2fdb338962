"""The page: one HTML file that needs nothing else, and the same numbers as JSON."""

import base64
import json
from pathlib import Path
from typing import Any

from components.report import figures
from components.report.data import DISCLAIMER, ReportData
from components.report.numbers import report_numbers

WORDS = {
    "auc": ("AUC", "chance that a pneumonia image scores above a normal one"),
    "auc_pr": ("AUC-PR", "average precision over all thresholds"),
    "accuracy": ("Accuracy", "share of images called rightly"),
    "sensitivity": ("Sensitivity", "share of pneumonia images that are found"),
    "specificity": ("Specificity", "share of normal images that are left in peace"),
    "precision": ("Precision (PPV)", "share of alarms that are right, at this test split's mix"),
    "npv": ("NPV", "share of all-clears that are right, at this test split's mix"),
    "f1": ("F1", "harmonic mean of precision and sensitivity"),
    "brier": ("Brier score", "squared distance of score and truth; lower is better"),
    "ece": ("Calibration error", "expected distance of score and frequency; lower is better"),
}
LEAKS = {
    "exact_across_splits": ("Same pixels in two splits", "the test would ask what training told"),
    "near_across_splits": ("Near duplicates in two splits", "the same, for copies of other size"),
    "patients_in_two_splits": ("Patients in two splits", "by the key taken from the file name"),
    "contradictory": ("Same pixels, different label", "one of the labels is wrong"),
    "exact_within_split": ("Same pixels twice in one split", "no leak; each copy counts"),
    "near_within_split": ("Near duplicates in one split", "no leak; each copy counts"),
}
HEADLINE = ("auc", "accuracy", "sensitivity", "specificity")


def write_report(data: ReportData, folder: Path) -> tuple[Path, Path]:
    """Writes `report.html` and `report.json`, each whole or not at all.

    Args:
      data: what to show.
      folder: where to; made if need be.

    Returns:
      paths of the page and of the numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = report_numbers(data)
    page, facts = folder / "report.html", folder / "report.json"
    _write(facts, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    _write(page, render(data, numbers))
    return page, facts


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    partial.replace(file)


def render(data: ReportData, numbers: dict[str, Any]) -> str:
    """The page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("components.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["count"] = _count
    environment.filters["score"] = _score
    environment.filters["interval"] = _interval
    template = environment.get_template("report.html.j2")
    return template.render(
        numbers=numbers,
        words=WORDS,
        leaks=LEAKS,
        headline=HEADLINE,
        disclaimer=DISCLAIMER,
        summary=data.model_summary,
        figures=_figures(data),
        samples=_samples(data),
        mistakes=_mistakes(data, numbers),
    )


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _figures(data: ReportData) -> dict[str, str]:
    drawn: dict[str, bytes] = {}
    if data.history and data.history.get("epochs"):
        for name in ("loss", "accuracy"):
            drawn[name] = figures.curve(data.history, name)
    predicted = data.predictions
    if predicted is not None and len(predicted):
        drawn["roc"] = figures.roc(predicted, data.threshold)
        drawn["pr"] = figures.precision_recall(predicted, data.threshold)
        drawn["confusion"] = figures.confusion_matrix(predicted, data.threshold, data.classes)
        drawn["calibration"] = figures.calibration(predicted)
    return {name: _uri(content, "png") for name, content in drawn.items()}


def _samples(data: ReportData) -> dict[str, list[dict[str, str]]]:
    shown: dict[str, list[dict[str, str]]] = {}
    for sample in data.samples:
        small = figures.thumbnail(sample.content)
        if small is not None:
            row = {"src": _uri(small, "jpeg"), "name": sample.filename.rsplit("/", 1)[-1]}
            shown.setdefault(sample.pathogen, []).append(row)
    return shown


def _mistakes(data: ReportData, numbers: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    shown: dict[str, list[dict[str, Any]]] = {}
    for kind, rows in numbers.get("mistakes", {}).items():
        shown[kind] = []
        for row in rows:
            small = figures.thumbnail(data.images.get(row["sha256"], b""))
            name = row["filename"].rsplit("/", 1)[-1]
            shown[kind].append({**row, "name": name, "src": small and _uri(small, "jpeg")})
    return shown


def _number(value: float | None, digits: int = 3) -> str:
    return "not defined" if value is None else f"{value:.{digits}f}"


def _count(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _score(value: float) -> str:
    """A probability, never rounded to a certainty that the model did not claim."""
    if 0 < value < 0.001:
        return "below 0.001"
    if 0.999 < value < 1:
        return "above 0.999"
    return f"{value:.3f}"


def _interval(value: dict[str, Any] | None) -> str:
    if not value or value["estimate"] is None:
        return "not defined"
    if value["low"] is None:
        return f"{value['estimate']:.3f} (no interval)"
    mark = "\N{DAGGER}" if value["exact"] else ""
    ends = f"({value['low']:.3f} to {value['high']:.3f}){mark}".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{value['estimate']:.3f} {ends}"
