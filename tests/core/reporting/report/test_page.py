import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.reporting.notices import DISCLAIMER, SYNTHETIC
from core.reporting.report.data import ReportData
from core.reporting.report.example_images import MAX_EXAMPLES, correct, mistakes
from core.reporting.report.page import write_report
from schema.labels import BACTERIA_VIRUS, BINARY, THREE_CLASS, Task
from tests.core.reporting.report.artificial_report import CURVES, full_report, predicted
from tests.support.pages import check_standalone, read
from tests.support.predictions import synthetic_predictions

DATA = full_report()


def empty_part(name: str) -> ReportData:
    empty: Any = {"samples": [], "images": {}, "versions": {}, "histories": {}, "pushed": ""}
    # Only these are used together with predictions, whose numbers take most of the time.
    beside = ("predictions", "val", "images", "training", "tfma")
    data = DATA if name in beside else replace(DATA, predictions=None)
    return replace(data, **{name: empty.get(name)})


PARTS = (
    "dataset",
    "leakage",
    "samples",
    "training",
    "histories",
    "model_summary",
    "predictions",
    "val",
    "images",
    "tfma",
    "blessing",
    "stress_test",
    "pushed",
    "config",
    "versions",
)


@pytest.mark.parametrize(
    "data",
    [
        full_report(BACTERIA_VIRUS),
        ReportData(name="nothing"),
        *(empty_part(name) for name in PARTS),
    ],
    ids=["pathogens", "nothing", *PARTS],
)
def test_any_part_may_be_missing(data: ReportData, render: Any) -> None:
    page, numbers = render(data)
    assert DISCLAIMER in check_standalone(page).text
    json.dumps(numbers, allow_nan=False)


def test_page_is_standalone_with_notices_first(report: Any) -> None:
    page = check_standalone(report.page)
    assert len(page.images) > 10
    order = [page.text.index(part) for part in (DISCLAIMER, SYNTHETIC, "RANDOM WEIGHTS", "Gate")]
    assert order == sorted(order)
    assert "&lt;img src=x" in report.page  # hostile file names are text
    assert "<img src=x" not in report.page
    assert "Model: &lt;big&gt;" in report.page
    for part in (
        "21,806,882",
        "abc123",
        "2 truncated",
        "1234567",
        "offline",
        "1.21.0",
        "a note",
        "kind to come",
        "the gate requires at least 0.999",
        "mixed7",
        "4.8e-04",
        "A note of it",
        "0.7654",
    ):
        assert part in page.text, part


def test_counts_as_delivered_and_as_used(report: Any) -> None:
    text = " ".join(re.sub(r"<[^>]+>", " ", report.page).split())
    delivered = text[text.index("As delivered") : text.index("As used")]
    for row in (
        "none NORMAL 20 1 19 2",
        "none PNEUMONIA, virus 16 0 16 0",
        "no class: rejected before it was known, or missing 1 1 0 0",
        "All 58 3 55 2",
    ):
        assert row in delivered


def test_head_and_pooling_come_first(render: Any) -> None:
    backbone = 'Model: "Xception_backbone"\n' + "row\n" * 300
    head = 'Model: "pooling_and_head"\nGlobalAveragePooling (GlobalAveragePooling2D)\n'
    for text in (backbone + head, head + backbone, f"{backbone}{head}{backbone}{head}"):
        page, _ = render(replace(empty_part("predictions"), model_summary=text))
        assert page.index("pooling and head") < page.index("Xception_backbone")
        assert page.count("<details open><summary>Keras summary") == 1
        parts = page.split("Keras summary: ")[1:]
        assert len(parts) == text.count("Model: ")
        assert [part.startswith("pooling") for part in parts] == sorted(
            (part.startswith("pooling") for part in parts), reverse=True
        )


def leaves(value: Any, path: str = "") -> list[tuple[str, float]]:
    """Every number of a JSON value with its path."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, f"{path}.{i}")]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [(path, value)] if is_number else []


NOT_SHOWN = (
    ".dataset.version",  # of the file format
    ".bootstrap.level",  # written as 95 %
    ".training.calibration.operating_point",  # measured again, with intervals
    ".training.members.0.seconds",  # the sum is shown
    ".training.task",  # indices of named classes
    ".shifted_validation.bootstrap",  # the same as that of the report
    ".shifted_validation.skipped",  # the number is part of the reason
    ".shifted_validation.ordinary",  # metrics are shown; images and threshold are those of training
)


def test_page_shows_every_number_of_the_json(report: Any) -> None:
    text = re.sub(r"<[^>]*>", " ", report.page)
    shown = set(re.findall(r"(?<![\w.])-?[\d,]*\d(?:\.\d+)?(?![\d])", text))
    found = leaves(report.numbers)
    assert len(found) > 150
    for path, value in found:
        forms = {
            f"{value:,}",
            f"{value:g}",
            *(f"{value:z.{digits}f}" for digits in (1, 2, 3, 4, 5)),
        }
        assert path.startswith(NOT_SHOWN) or forms & shown, (path, value)
    flat = re.sub(r"\s+", " ", text)
    assert len(report.numbers["metrics"]) == 12
    for value in report.numbers["metrics"].values():
        assert f"{value['estimate']:.3f} ({value['low']:.3f} to {value['high']:.3f})" in flat
    assert report.numbers["test"] == {
        "images": 40,
        "patients": 20,
        "positives": 26,
        "left_out": 0,
    }
    assert sum(report.numbers["confusion"].values()) == 40


@pytest.mark.parametrize("part", ["training", "blessing", "leakage", "histories"])
def test_any_key_of_a_free_form_part_may_be_missing(part: str, render: Any) -> None:
    quick = ReportData(name="few", training=DATA.training, resamples=10)
    whole = CURVES if part == "histories" else getattr(DATA, part)
    needed = {"blessing": "blessed", "leakage": "ok", "histories": "epochs"}.get(part)
    for key in whole.keys() - {needed}:
        fewer = {name: value for name, value in whole.items() if name != key}
        value = {"3": fewer} if part == "histories" else fewer
        read(render(replace(quick, **{part: value}))[0])


@pytest.mark.parametrize("unknown", [0, 1234])
def test_unknown_patients_qualify_the_search_for_leaks(unknown: int, render: Any) -> None:
    leakage = {"ok": True, "counts": {"images_without_known_patient": unknown}}
    page, _ = render(ReportData(name="few", resamples=10, leakage=leakage))
    assert ("No leaks were found, but 1,234 images have no known patient" in page) == bool(unknown)
    assert ("No leaks were found." in page) == (not unknown)


def test_perfect_slice_has_exact_bounds_and_a_note(render: Any) -> None:
    given = predicted()
    few = given.where((given.positive == 0) & (given.predicted_positive == 0))
    few = replace(few.where(np.arange(len(few)) < 3), patient=np.array(["a", "b", "c"]))
    page, numbers = render(ReportData(name="few", resamples=10, predictions=few))
    specificity = numbers["metrics"]["specificity"]
    assert specificity["low"] == pytest.approx(0.025 ** (1 / 3))
    assert "1.000 (0.292 to 1.000)\N{DAGGER}" in page
    assert "Clopper-Pearson" in page


@pytest.mark.parametrize("task", [BINARY, THREE_CLASS], ids=lambda task: task.name)
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_test_split(label: int, task: Task, render: Any) -> None:
    given = full_report(task).predictions
    page, numbers = render(
        replace(full_report(task), predictions=given.where(given.positive == label))
    )
    assert numbers["metrics"]["auc"]["estimate"] is None
    defined = "sensitivity" if label else "specificity"
    assert numbers["metrics"][defined]["estimate"] is not None
    assert "not defined" in read(page).text


def test_images_of_unknown_class(render: Any) -> None:
    given = synthetic_predictions(40, task=THREE_CLASS, unknown=True)
    data = ReportData(name="unknown", resamples=10, predictions=given)
    _, numbers = render(data)
    assert numbers["test"]["images"] == 40
    assert numbers["classes_on_test"]["images"] == 30
    assert sum(map(sum, numbers["classes_on_test"]["matrix"])) == 30
    rows = {row["value"]: row["metrics"] for row in numbers["slices"]}
    assert rows["unknown"]["class_accuracy"]["estimate"] is None
    page, _ = render(replace(data, predictions=given.where(given.pathogen == "unknown")))
    assert "No test image has a single class" in page


def test_images_outside_the_task_are_left_out(render: Any) -> None:
    given = predicted(task=BACTERIA_VIRUS)
    positive = np.where(np.arange(40) < 5, -1, given.positive)
    some = replace(given, positive=positive, label=positive)
    page, numbers = render(ReportData(name="some", resamples=10, predictions=some))
    assert numbers["test"]["left_out"] == 5
    assert "5 more images of the test split have no label" in page
    assert "One member (seed 0)" in page
    assert "no image is referred" in page


def test_empty_test_split(tmp_path: Path) -> None:
    none = predicted().where(np.zeros(40, bool))
    page, numbers = write_report(replace(DATA, predictions=none), tmp_path / "new" / "report")
    assert sorted(file.name for file in page.parent.iterdir()) == [
        "figures",
        "report.html",
        "report.json",
    ]
    assert "metrics" not in json.loads(numbers.read_text())
    assert "no result to show" in read(page).text


def test_nan_score_is_rejected(tmp_path: Path) -> None:
    given = predicted()
    given.score[3] = np.nan
    with pytest.raises(ValueError, match="nan"):
        write_report(ReportData(name="x", predictions=given), tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_reason_of_failed_infrastructure_validation(render: Any) -> None:
    blessing = DATA.blessing | {"blessed": True, "failures": []}
    for blessed in (False, True):
        infra = {"blessed": blessed, "reasons": ["server: <score> differs"], "how": ""}
        page = render(ReportData(name="infra", blessing=blessing, infra=infra))[0]
        assert ("Not pushed:" in page) is not blessed
        assert ("server: &lt;score&gt; differs" in page) is not blessed


def test_most_confident_images_are_shown() -> None:
    given = predicted(120, task=THREE_CLASS)
    found = mistakes(given) | correct(given)
    labeled = given.with_binary_label()
    for name, side, predicted_side in (
        ("missed", 1, 0),
        ("false_alarms", 0, 1),
        ("found", 1, 1),
        ("passed", 0, 0),
    ):
        scores = labeled.score[
            (labeled.positive == side) & (labeled.predicted_positive == predicted_side)
        ]
        expected = sorted(scores.tolist(), reverse=bool(predicted_side))[:MAX_EXAMPLES]
        assert [row["score"] for row in found[name]] == expected
    probabilities = [row["probability"] for row in found["wrong_class"]]
    assert probabilities == sorted(probabilities, reverse=True)
    for row in found["wrong_class"]:  # bacteria for virus, not a miss
        assert {row["pathogen"].upper(), row["predicted"]} == {"BACTERIA", "VIRUS"}
        assert row["score"] >= 0.5
    assert "wrong_class" not in mistakes(predicted())


def test_other_findings_are_not_pneumonia(render: Any) -> None:
    splits = {"train": {"normal": 5, "unknown": 6, "other": 703}, "test": {"normal": 3}}
    page, _ = render(ReportData(name="other", dataset=DATA.dataset | {"splits": splits}))
    row = re.search(r"<tr><td>train</td>(.*?)</tr>", page)
    assert row is not None
    assert re.findall(r">(\d+)<", row.group(1)) == ["5", "6", "0", "0", "6", "703", "714", "11"]
