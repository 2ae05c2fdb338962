"""The page: one HTML file that needs nothing else, and the same numbers as JSON."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from components.report import boxes_figures, figures, figures_reliability
from components.report.boxes import HEADLINE as BOX_HEADLINE
from components.report.boxes import TOLD
from components.report.boxes_pictures import pictures
from components.report.data import DISCLAIMER, ReportData
from components.report.drawing import data_uri, thumbnail
from components.report.heat import TOLD as HEAT_METRICS
from components.report.heat import WORDS as HEAT_WORDS
from components.report.heat_pictures import heat_pictures
from components.report.numbers import report_numbers, sides
from components.report.templating import environment
from components.report.words import CLASS_HEADLINE, HEADLINE, LEAKS, words
from schema.files import write_atomically


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
    write_atomically(facts, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    write_atomically(page, render(data, numbers))
    return page, facts


def render(data: ReportData, numbers: dict[str, Any]) -> str:
    """The page as text."""
    pages = environment("components.report")
    pages.filters["number"] = _number
    pages.filters["count"] = _count
    pages.filters["score"] = _score
    pages.filters["interval"] = partial(_interval, resamples=numbers["bootstrap"]["resamples"])
    pages.filters["p_value"] = _p_value
    of_classes = numbers.get("classes_on_test")
    negative, positive = numbers.get("sides") or ("negative", "positive")
    return pages.get_template("report.html.j2").render(
        numbers=numbers,
        words=words(negative, positive, of_classes["pair"] if of_classes else None),
        leaks=LEAKS,
        headline=HEADLINE,
        class_headline=CLASS_HEADLINE,
        box_headline=BOX_HEADLINE,
        box_metrics=TOLD,
        disclaimer=DISCLAIMER,
        summary=data.model_summary,
        figures=_figures(data, numbers),
        samples=_samples(data),
        mistakes=_mistakes(data, numbers),
        heat_metrics=HEAT_METRICS,
        heat_words=HEAT_WORDS,
        heated=_heated(data, numbers),
        boxed=pictures(numbers.get("boxes", {}).get("cases", {}), data.images),
    )


def _figures(data: ReportData, numbers: dict[str, Any]) -> dict[str, str]:
    drawn: dict[str, bytes] = {}
    if any(history.get("epochs") for history in data.histories.values()):
        for name in ("loss", "accuracy"):
            drawn[name] = figures.curve(data.histories, name)
    if data.answers is not None and "metrics" in numbers:
        told, c = data.answers.told(), numbers["confusion"]
        names = sides(data.answers)
        drawn["roc"] = figures.roc(told)
        drawn["pr"] = figures.precision_recall(told)
        cells = np.array([[c["tn"], c["fp"]], [c["fn"], c["tp"]]])
        drawn["confusion"] = figures.confusion_matrix(cells, names)
        drawn["calibration"] = figures_reliability.calibration(told)
        here = numbers["test"]["positives"] / numbers["test"]["images"]
        drawn["prevalence"] = figures_reliability.over_prevalence(numbers["metrics"], here)
        if numbers["coverage"]:
            drawn["coverage"] = figures_reliability.risk_over_coverage(data.answers)
        if numbers.get("classes_on_test"):
            drawn["class_roc"] = figures.class_roc(data.answers.labelled())
            matrix = np.array(numbers["classes_on_test"]["matrix"])
            drawn["class_confusion"] = figures.confusion_matrix(matrix, numbers["classes"])
        if numbers.get("boxes"):
            drawn["froc"] = boxes_figures.froc_curve(data.answers, numbers["boxes"]["metrics"])
            drawn["box_pr"] = boxes_figures.box_precision_recall(data.answers)
        if data.val is not None:
            drawn["shift"] = figures_reliability.score_distributions(data.val.told(), told, names)
    return {name: data_uri(content, "png") for name, content in drawn.items()}


def _samples(data: ReportData) -> dict[str, list[dict[str, str]]]:
    shown: dict[str, list[dict[str, str]]] = {}
    for sample in data.samples:
        small = thumbnail(sample.content)
        if small is not None:
            row = {"src": data_uri(small, "jpeg"), "name": sample.filename.rsplit("/", 1)[-1]}
            shown.setdefault(sample.pathogen, []).append(row)
    return shown


def _mistakes(data: ReportData, numbers: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    shown: dict[str, list[dict[str, Any]]] = {}
    for kind, rows in numbers.get("mistakes", {}).items():
        shown[kind] = []
        for row in rows:
            small = thumbnail(data.images.get(row["sha256"], b""))
            name = row["filename"].rsplit("/", 1)[-1]
            shown[kind].append({**row, "name": name, "src": small and data_uri(small, "jpeg")})
    return shown


def _heated(data: ReportData, numbers: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    if data.answers is None or "explain" not in numbers:
        return {}
    pairs = zip(data.answers.sha256.tolist(), data.answers.truth_boxes, strict=True)
    truth = {name: boxes.tolist() for name, boxes in pairs if len(boxes)}
    return heat_pictures(numbers["mistakes"] | numbers["explain"]["right"], data.heat, truth)


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


def _p_value(value: float | None) -> str:
    if value is None:
        return "not defined"
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _interval(value: dict[str, Any] | None, resamples: int) -> str:
    """Estimate and ends; how many resamples stand behind them where not all do."""
    if not value or value["estimate"] is None:
        return "not defined"
    if value["low"] is None or value["high"] is None:
        return f"{value['estimate']:.3f} (no interval)"
    mark = "\N{DAGGER}" if value.get("exact") else ""
    used = value.get("resamples_used", resamples)
    few = f"; {used} resamples" if used != resamples else ""
    ends = f"({value['low']:.3f} to {value['high']:.3f}{few}){mark}".replace(
        " ", "\N{NO-BREAK SPACE}"
    )
    return f"{value['estimate']:.3f} {ends}"
