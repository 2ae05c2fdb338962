"""The page of a comparison: one HTML file that needs nothing else, and the numbers as JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from components.report.drawing import data_uri, thumbnail
from components.report.templating import environment
from pipeline.compare import figures
from pipeline.compare.numbers import OF_BOXES, SHOWN, compare_numbers
from pipeline.compare.questions import questions
from pipeline.compare.runs import Failed, Finished
from schema import features as f
from schema.files import write_atomically

WORDS = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ece": "calibration error",
    "challenge": "challenge score",
    "pointing": "pointing accuracy",
    "class_accuracy": "class accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "pairwise_auc": "pairwise AUC",
}


def write_comparison(
    runs: Sequence[Finished],
    failed: Sequence[Failed],
    work: Path,
    resamples: int = 2000,
) -> tuple[Path, Path]:
    """Writes `compare.html` and `compare.json` in the work folder, each whole or not at all.

    Returns:
      paths of the page and of the numbers.
    """
    numbers = compare_numbers(runs, failed, work / "metadata.sqlite", resamples)
    page, facts = work / "compare.html", work / "compare.json"
    write_atomically(facts, json.dumps(numbers, indent=1, allow_nan=False) + "\n")
    wanted = {row["sha256"] for q in numbers["questions"] for row in q["disputed"]}
    write_atomically(page, render(numbers, drawn(runs), images(runs[0].records, wanted)))
    return page, facts


def drawn(runs: Sequence[Finished]) -> dict[str, dict[str, str]]:
    """Title of the question -> `roc` and `calibration` as data URIs."""
    names = [run.name for run in runs]  # a configuration has one colour on the whole page
    return {
        question.title: {
            "roc": data_uri(figures.roc(question.test, names), "png"),
            "calibration": data_uri(figures.calibration(question.test, names), "png"),
        }
        for question in questions(runs)
    }


def images(records: Path, wanted: set[str]) -> dict[str, str]:
    """Thumbnails of test images as data URIs, read from the records without TensorFlow.

    Args:
      records: folder that ingest wrote; where it is gone there are no pictures.
      wanted: ids (sha256 of the bytes).
    """
    found: dict[str, str] = {}
    for name, content in _contents(sorted(records.glob("test-*.tfrecord")), wanted):
        small = thumbnail(content, 200)
        if small is not None:
            found[name] = data_uri(small, "jpeg")
    return found


def _contents(files: Iterable[Path], wanted: set[str]) -> Iterable[tuple[str, bytes]]:
    from schema.example import decode
    from schema.tfrecord import read_records

    left = set(wanted)
    for file in files:
        if not left:
            return
        for record in read_records(file):
            values = decode(record)
            (name,) = (str(v, "utf-8") for v in values[f.IMAGE_SHA256] if isinstance(v, bytes))
            if name in left:
                left.discard(name)
                (content,) = (v for v in values[f.IMAGE_ENCODED] if isinstance(v, bytes))
                yield name, content


def render(
    numbers: dict[str, Any], pictures: dict[str, dict[str, str]], thumbnails: dict[str, str]
) -> str:
    """The page as text.

    Args:
      numbers: as `compare_numbers` gives them.
      pictures: as `drawn` gives them.
      thumbnails: id -> data URI.
    """
    pages = environment("pipeline.compare")
    pages.filters |= {
        "number": number,
        "estimate": estimate,
        "ends": ends,
        "p": p_value,
        "duration": duration,
        "signed": signed,
    }
    return pages.get_template("compare.html.j2").render(
        numbers=numbers,
        pictures=pictures,
        thumbnails=thumbnails,
        shown=SHOWN,
        of_boxes=OF_BOXES,
        words=WORDS,
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number for people."""
    return "not defined" if value is None else f"{value:,.{digits}f}"


def signed(value: float | None) -> str:
    """A difference."""
    if value is None:
        return "not defined"
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}"


def p_value(value: float | None) -> str:
    """A p, never rounded to 0."""
    if value is None:
        return "not defined"
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def estimate(value: dict[str, Any]) -> str:
    """The estimate of an interval."""
    return number(value["estimate"])


def ends(value: dict[str, Any]) -> str:
    """The ends of an interval."""
    if value["estimate"] is None:
        return ""
    if value["low"] is None:
        return "no interval"
    return f"{value['low']:.3f} to {value['high']:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds for people, as "12 min 13 s"."""
    if seconds is None:
        return "not known"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
