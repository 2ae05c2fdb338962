"""The report as one HTML file without external resources, and as JSON."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from core.metrics import registry
from core.reporting.format import interval
from core.reporting.radiographs import SIDE, picture, read_gray, thumbnail
from core.reporting.rendering import data_uri, render, write_page
from core.reporting.report import figures
from core.reporting.report.data import ReportData
from core.reporting.report.decisions.flow import flow_errors
from core.reporting.report.decisions.flow_diagram import flow_diagram
from core.reporting.report.heat_maps import Localization
from core.reporting.report.results import report_results
from core.reporting.stress_test import stress_test_drops

Rows = dict[str, list[dict[str, Any]]]


def write_report(data: ReportData, folder: Path) -> tuple[Path, Path]:
    """Writes `report.html`, `report.json` and the figures as `figures/NAME.png`.

    Returns:
      paths of the page and of the JSON file.
    """
    numbers = report_results(data)
    drawn = draw_figures(data, numbers)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, content in drawn.items():
        (folder / "figures" / f"{name}.png").write_bytes(content)
    return write_page(folder, "report", numbers, render_report(data, numbers, drawn))


def render_report(data: ReportData, numbers: dict[str, Any], drawn: dict[str, bytes]) -> str:
    """Renders the page; `drawn` has the figures as PNG."""
    negative, positive = numbers.get("sides", ("negative", "positive"))
    classes = numbers.get("classes_on_test") or {}
    return render(
        "report.html.j2",
        {"interval": partial(interval, resamples=numbers["bootstrap"]["resamples"])},
        numbers=numbers,
        registry=registry,
        explanations=registry.explanations(negative, positive, classes.get("pair", ())),
        summary=_summaries(data.model_summary or ""),
        figures={name: data_uri(content) for name, content in drawn.items()},
        flow=flow_diagram(numbers["flow"], numbers["sides"]) if "flow" in numbers else None,
        flow_errors=flow_errors(numbers["flow"]) if "flow" in numbers else [],
        samples=_samples(data),
        mistakes=_thumbnails(numbers.get("mistakes", {}), data.images),
        heated=_heat_pictures(data, numbers),
        boxed=_box_pictures(numbers.get("boxes", {}).get("cases", {}), data.images),
    )


def draw_figures(data: ReportData, numbers: dict[str, Any]) -> dict[str, bytes]:
    """Returns name -> PNG of each figure."""
    drawn: dict[str, bytes] = {}
    if any(history.get("epochs") for history in data.histories.values()):
        for name in ("loss", "accuracy"):
            drawn[name] = figures.training_curve(data.histories, name)
    if numbers["stress_test"]:
        drawn["stress_test"] = stress_test_drops(numbers["stress_test"])
    if data.predictions is not None and "metrics" in numbers:
        drawn |= figures.draw_all(data.predictions, data.val, numbers)
    return drawn


def _summaries(text: str) -> list[str]:
    """Splits the summaries of head, fine-tuned layers and backbone; heads first."""
    parts = [part.strip() for part in re.split(r"(?m)^(?=Model: )", text) if part.strip()]
    return sorted(parts, key=lambda part: not _is_head(part))


def _is_head(summary: str) -> bool:
    return summary.partition("\n")[0].rstrip().endswith('head"')


def _samples(data: ReportData) -> Rows:
    shown: Rows = {}
    for sample in data.samples:
        if src := thumbnail(sample.content):
            shown.setdefault(sample.pathogen, []).append(vars(sample) | {"src": src})
    return shown


def _thumbnails(mistakes: Rows, images: dict[str, bytes]) -> Rows:
    return {
        kind: [{**row, "src": thumbnail(images.get(row["sha256"], b""))} for row in rows]
        for kind, rows in mistakes.items()
    }


def _box_pictures(cases: Rows, images: dict[str, bytes]) -> Rows:
    """Adds pictures to the cases; unreadable images have the text only."""
    shown: Rows = {}
    for kind, rows in cases.items():
        shown[kind] = []
        for row in rows:
            hits = f", {sum(row['hit'])} of them correct" if row["boxes"] and row["truth"] else ""
            text = f"{len(row['truth'])} marked, {len(row['boxes'])} predicted{hits}"
            image = read_gray(images.get(row["sha256"], b""))
            drawn = picture(image, row["truth"], row["boxes"], row["box_scores"]) if image else {}
            shown[kind].append({**row, "text": text, "src": None, **drawn})
    return shown


def _heat_pictures(data: ReportData, numbers: dict[str, Any]) -> Rows:
    """Returns pictures with heat map and boxes; skips images without either."""
    if (
        data.predictions is None
        or data.heat_maps is None
        or "kind" not in numbers.get("explain", {})
    ):
        return {}
    from core.images.overlay import draw_overlay

    pairs = zip(data.predictions.sha256.tolist(), data.predictions.truth_boxes, strict=True)
    truth = {name: boxes.tolist() for name, boxes in pairs if len(boxes)}
    shown: Rows = {}
    for kind, rows in (numbers["mistakes"] | numbers["explain"]["right"]).items():
        shown[kind] = []
        for row in rows:
            localization = data.heat_maps.localizations.get(row["sha256"])
            image = (
                None
                if localization is None or localization.heat is None
                else read_gray(localization.content)
            )
            if localization is None or image is None:
                continue
            marked = truth.get(row["sha256"], [])
            counts = f"{len(marked)} marked, " if marked else ""
            text = f"{counts}{len(localization.boxes)} predicted; {_peak(localization)}"
            heat = draw_overlay(image, localization.heat, side=SIDE)
            drawn = picture(heat, marked, localization.boxes.tolist(), localization.scores.tolist())
            shown[kind].append({**row, "text": text, **drawn})
    return shown


def _peak(localization: Localization) -> str:
    """Describes where the peak of a heat map is."""
    if not localization.peak[0] >= 0:
        return "no region above the heat-map threshold"
    names = ("upper", "middle", "lower"), ("left", "center", "right")
    row, column = (
        part[min(2, int(3 * at))]
        for part, at in zip(names, localization.peak.tolist(), strict=True)
    )
    return f"highest value at the {row} {column} of the picture"
