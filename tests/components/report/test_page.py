import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.evaluation.answers import Answers
from components.evaluation.options import EvaluationOptions
from components.gate.decision import decide
from components.ingest.summary import IngestSummary
from components.report.data import DISCLAIMER, ReportData, Sample
from components.report.numbers import mistakes, report_numbers
from components.report.page import write_report
from components.report.plain import plain
from schema.labels import BACTERIA_VIRUS, BINARY, THREE_CLASS, Task
from tests.components.evaluation.given import answers
from tests.components.report.made import EVIL, predicted
from tests.support.images import FORMS, encode, gray
from tests.support.pages import parse


def told(candidate: Answers, blessed: Answers) -> dict[str, Any]:
    """A decision as the Gate stores it."""
    options = EvaluationOptions(resamples=100, gate={"auc": {"min": 0.6}, "f1": {"min": 0.999}})
    tfma = {
        "blessed": True,
        "rules": [{"metric": "auc", "bound": 0.6, "value": 0.7654, "ok": True}],
    }
    return decide(candidate, blessed, options).to_dict() | {"tfma": tfma}


CURVES = {"epochs": [1, 2], "loss": [0.7, 0.4], "val_loss": [0.6, 0.5], "accuracy": [0.5, 0.8],
          "val_accuracy": [0.6, 0.7], "val_auc": [0.71, None], "learning_rate": [1e-3, 1e-5],
          "best_epoch": 2}  # fmt: skip


def full(of: Task = BINARY) -> ReportData:
    image = encode(Image.fromarray(gray()), "JPEG")
    test = predicted(of=of, members=3, band=(0.4, 0.6))
    val = predicted(50, 1, of=of, members=3, band=(0.4, 0.6))
    return ReportData(
        name="full",
        resamples=100,
        notices=["SYNTHETIC DATA: drawn"],
        dataset=IngestSummary(  # as ingest stores it, so that a renamed key is found here
            version=1, synthetic=True, found=50, written=45, rejected=3, skipped={"*.txt": 2},
            splits={"train": {"normal": 5, "bacteria": 7, "virus": 3}, "test": {"normal": 30}},
            patients={"train": 11, "test": 6}, policy="patient", layout="class", seed=4,
            content_sha256="abc123", source_fingerprint="def456", options={}, versions={},
            reasons={"truncated": 2, "not_an_image": 1}, leakage={}, leakage_ok=False,
        ).model_dump(mode="json") | {
            "shortcuts": [{"what": "size", "auc": 0.6125, "low": 0.5125, "high": None}]
        },
        leakage={"ok": False, "notes": ["a note"],
                 "counts": {"exact_across_splits": 77, "kind_to_come": 78}},
        samples=[Sample(EVIL, "normal", image), Sample("b.png", "virus", FORMS["png_16bit"]()),
                 Sample("broken.png", "virus", b"no image")],
        training={
            "trunk": "InceptionV3", "image_size": 299, "fit": "stretch", "seeds": [3, 5, 8],
            "weights": {"kind": "random", "file": "", "sha256": "", "reason": "offline"},
            "parameters": {"trainable": 4098, "total": 21_806_882}, "pooling": "avg",
            "class_weight": {"NORMAL": 1.9, "PNEUMONIA": 0.68}, "cut": "mixed7",
            "classes": list(of.classes), "task": of.to_dict(),
            "class_counts": {"train": [31, 32], "val": [33, 34]},
            "members": [{"seed": 3, "best_epoch": 12, "epochs": 20, "seconds": {"head": 4.5},
                         "val": {"auc": 0.9531, "accuracy": None}}],
            "embedding": {"views": 4, "storage": "float16", "storage_error": 0.00048,
                          "compute": "bfloat16",
                          "agreement": {"cosine": 0.99987, "relative": 0.0123},
                          "timed": {"float32": 21.7, "bfloat16": 31.9},
                          "augment": None, "images_per_second": 31.7, "seconds": 12.3},
            "calibration": {
                "temperature": 1.25, "threshold": 0.5, "band": [0.4, 0.6],
                "operating_point": {"rule": "sensitivity", "asked": 0.95, "note": "a note of it",
                                    "threshold": 0.5, "sensitivity": 0.951},
                "before": {"ece": 0.0811, "brier": 0.0822, "nll": 0.0833},
                "after": {"ece": 0.0711, "brier": 0.0722, "nll": 0.0733},
            },
            "fine_tune": {"from_cut": "mixed7", "epochs": 6, "head_learning_rate": None},
            "compute": "bfloat16",
            "tuned": {"dense": [], "dropout": 0.3},
            "seconds": {"embed": 12.3, "fit": 4.5, "all": 29.1},
        },
        histories={"3": CURVES | {"phases": {"head": CURVES, "fine_tune": CURVES}}, "5": CURVES},
        model_summary="Model: <big>",
        answers=test,
        val=val,
        images={str(i): image for i in test.sha256},
        tfma={"overall": {"auc": 0.91234, "accuracy": 0.8}},
        blessing=told(test, predicted(of=of, luck=1)),
        pushed="/serving/1234567",
        config="name: full\n",
        versions={"tfx": "1.21.0"},
    )  # fmt: skip


def missing(name: str) -> ReportData:
    empty: Any = {"samples": [], "notices": [], "images": {}, "versions": {}, "histories": {}}.get(
        name
    )
    return replace(full(), **{name: "" if name == "pushed" else empty})


PARTS = ["dataset", "leakage", "samples", "training", "histories", "model_summary", "answers",
         "val", "images", "tfma", "blessing", "pushed", "config", "versions",
         "notices"]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        full(),
        full(THREE_CLASS),
        full(BACTERIA_VIRUS),
        ReportData(name="nothing"),
        *(missing(name) for name in PARTS),
    ],
    ids=["full", "three", "pathogens", "nothing", *PARTS],
)
def test_the_page_stands_alone_and_always_says_what_it_is_not(
    data: ReportData, tmp_path: Path
) -> None:
    page, facts = write_report(data, tmp_path / "report")
    links = parse(page)
    assert all(link.startswith("data:image/") for link in links.fetched)
    assert all(image.get("alt") for image in links.images)
    assert links.scripts == 0
    assert DISCLAIMER in page.read_text()
    json.loads(facts.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == ["report.html", "report.json"]


def test_every_metric_of_the_json_stands_on_the_page(tmp_path: Path) -> None:
    page, facts = write_report(full(), tmp_path)
    text = re.sub(r"\s+", " ", page.read_text())
    numbers = json.loads(facts.read_text())
    assert len(numbers["metrics"]) == 10
    for value in numbers["metrics"].values():
        assert f"{value['estimate']:.3f} ({value['low']:.3f} to {value['high']:.3f})" in text
        assert value["low"] <= value["estimate"] <= value["high"]
    for part in ("SYNTHETIC DATA", "21,806,882", "abc123", "2 truncated", "77", "1234567",
                 "offline", "patients", "0.91234", "1.21.0", "a note", "1 not an image", "2 *.txt",
                 "kind to come", "the gate asks for at least 0.999",
                 "mixed7", "; computed in bfloat16", "4.8e-04", "A note of it", "0.7654",
                 "learning rate", "fine tune"):  # fmt: skip
        assert part in text
    assert numbers["test"] == {"images": 40, "patients": 20, "positives": 26, "left_out": 0}
    assert sum(numbers["confusion"].values()) == 40


def leaves(value: Any, path: str = "") -> list[tuple[str, float]]:
    """Every number of a JSON value, with where it stands."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, f"{path}.{i}")]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [(path, value)] if is_number else []


NOT_SHOWN = (
    ".dataset.version",  # of the file's form
    ".bootstrap.level",  # said as 95 %
    ".training.calibration.operating_point",  # measured anew, with intervals
    ".training.members.0.seconds",  # the sum is shown
    ".training.task",  # indices of classes that are named
)


@pytest.mark.parametrize("of", [BINARY, THREE_CLASS], ids=lambda of: of.name)
def test_every_number_of_the_json_stands_on_the_page(of: Task, tmp_path: Path) -> None:
    page, facts = write_report(full(of), tmp_path)
    text = re.sub(r"<[^>]*>", " ", page.read_text())
    shown = set(re.findall(r"(?<![\w.])-?[\d,]*\d(?:\.\d+)?(?![\d])", text))
    found = leaves(json.loads(facts.read_text()))
    assert len(found) > 150
    for path, value in found:
        forms = {f"{value:,}", f"{value:g}", *(f"{value:.{digits}f}" for digits in (1, 3, 4, 5))}
        assert path.startswith(NOT_SHOWN) or forms & shown, (path, value)


def test_the_json_is_the_numbers(tmp_path: Path) -> None:
    data = full()
    _, facts = write_report(data, tmp_path)
    assert json.loads(facts.read_text()) == report_numbers(data)


@pytest.mark.parametrize("part", ["training", "blessing", "leakage"])
def test_facts_may_be_partly_there(part: str, tmp_path: Path) -> None:
    """Each key of a free-form record left out in turn."""
    whole = getattr(full(), part)
    needed = {"blessing": ("blessed",), "leakage": ("ok",)}.get(part, ())
    for key in set(whole) - set(needed):
        fewer = {name: value for name, value in whole.items() if name != key}
        page, _ = write_report(replace(full(), **{part: fewer}), tmp_path / key)
        parse(page)
    if not needed:
        page, _ = write_report(replace(full(), **{part: {}}), tmp_path / "none")
        assert "was found" in page.read_text()


def test_curves_may_be_partly_there(tmp_path: Path) -> None:
    for key in CURVES:
        fewer = {name: value for name, value in CURVES.items() if name != key}
        parse(write_report(replace(full(), histories={"3": fewer}), tmp_path / key)[0])
    page, _ = write_report(replace(full(), histories={"3": {}}), tmp_path / "none")
    assert "No training curves were found" in page.read_text()


def of_score(score: np.ndarray, positive: np.ndarray) -> Answers:
    """Binary answers of given scores."""
    base = predicted(len(score))
    p = np.stack([1 - score, score], axis=1)
    return replace(base, score=score, positive=positive, label=positive, probabilities=p, raw=p,
                   members=p[:, None],
                   pathogen=np.where(positive == 1, "virus", "normal"))  # fmt: skip


def test_a_flawless_slice_carries_its_bound_and_the_note(tmp_path: Path) -> None:
    few = of_score(np.full(3, 0.0001), np.zeros(3, int))
    few = replace(few, patient=np.array(["a", "b", "c"]))
    page, facts = write_report(replace(full(), answers=few), tmp_path)
    slices = json.loads(facts.read_text())["slices"]
    assert slices[0]["metrics"]["specificity"]["low"] == pytest.approx(0.025 ** (1 / 3))
    assert "1.000 (0.292 to 1.000)\N{DAGGER}" in re.sub(r"\s", " ", page.read_text())
    assert "Clopper-Pearson" in page.read_text()


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, "0.000"), (1e-5, "below 0.001"), (0.25, "0.250"), (0.99999, "above 0.999"),
     (1.0, "1.000")],
)  # fmt: skip
def test_a_score_is_not_rounded_to_certainty(score: float, expected: str, tmp_path: Path) -> None:
    # One class is wrong, whatever the score.
    given = of_score(np.full(40, score), np.arange(40) % 2)
    page, _ = write_report(replace(full(), answers=given), tmp_path)
    assert f"score {expected}" in page.read_text()


def test_names_of_any_letters_are_written(tmp_path: Path) -> None:
    names = np.array(["R\u00f6ntgen \u80ba.png", "bytes \udcff.png"] * 20)
    page, _ = write_report(replace(full(), answers=replace(predicted(), filename=names)), tmp_path)
    assert "R\u00f6ntgen \u80ba.png" in page.read_text(encoding="utf-8")


def test_hostile_names_are_text(tmp_path: Path) -> None:
    page, _ = write_report(full(), tmp_path)
    text = page.read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    assert "Model: &lt;big&gt;" in text


@pytest.mark.parametrize("of", [BINARY, THREE_CLASS], ids=lambda of: of.name)
@pytest.mark.parametrize("label", [0, 1])
def test_a_test_split_of_one_side(label: int, of: Task, tmp_path: Path) -> None:
    given = full(of).answers
    one = given.where(given.positive == label)
    page, facts = write_report(replace(full(of), answers=one), tmp_path)
    parse(page)
    metrics = json.loads(facts.read_text())["metrics"]
    assert metrics["auc"]["estimate"] is None
    assert metrics["sensitivity" if label else "specificity"]["estimate"] is not None
    assert "not defined" in page.read_text()


def test_images_of_no_one_class_have_a_side_alone(tmp_path: Path) -> None:
    given = answers(40, of=THREE_CLASS, unknown=True)
    page, facts = write_report(replace(full(THREE_CLASS), answers=given), tmp_path)
    numbers = json.loads(facts.read_text())
    assert numbers["test"]["images"] == 40
    assert numbers["classes_on_test"]["images"] == 30
    assert sum(map(sum, numbers["classes_on_test"]["matrix"])) == 30
    rows = {row["value"]: row["metrics"] for row in numbers["slices"]}
    assert rows["unknown"]["class_accuracy"]["estimate"] is None
    unknown = given.where(given.pathogen == "unknown")
    page, _ = write_report(replace(full(THREE_CLASS), answers=unknown), tmp_path / "only")
    assert "No test image belongs to one class" in page.read_text()


def test_an_image_without_a_place_in_the_task_is_left_out(tmp_path: Path) -> None:
    given = full(BACTERIA_VIRUS).answers
    positive = given.positive.copy()
    positive[:5] = -1
    some = replace(given, positive=positive, label=positive)
    page, facts = write_report(replace(full(BACTERIA_VIRUS), answers=some), tmp_path)
    assert json.loads(facts.read_text())["test"]["left_out"] == 5
    assert "5 more images have no place in task bacteria_virus" in page.read_text()


def test_an_empty_test_split(tmp_path: Path) -> None:
    none = predicted().where(np.zeros(40, bool))
    page, facts = write_report(replace(full(), answers=none), tmp_path)
    parse(page)
    assert "metrics" not in json.loads(facts.read_text())
    assert "no result to show" in page.read_text()


def test_a_score_that_is_no_number_is_refused(tmp_path: Path) -> None:
    given = predicted()
    given.score[3] = np.nan
    with pytest.raises(ValueError, match="nan"):
        write_report(ReportData(name="x", answers=given), tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_one_seed_and_no_band_are_told(tmp_path: Path) -> None:
    one = replace(full(), answers=predicted(), training=None)
    text = write_report(one, tmp_path)[0].read_text()
    assert "One seed (0)" in text
    assert "every image is answered" in text


def test_mistakes_are_the_most_confident_ones() -> None:
    given = predicted(120, of=THREE_CLASS)
    found = mistakes(given)
    for row in found["missed"]:
        assert row["pathogen"] != "normal"
        assert row["score"] < 0.5
    for row in found["false_alarms"]:
        assert row["pathogen"] == "normal"
        assert row["score"] >= 0.5
    missed = [row["score"] for row in found["missed"]]
    alarms = [row["score"] for row in found["false_alarms"]]
    assert missed == sorted(missed)
    assert alarms == sorted(alarms, reverse=True)
    wrong = given.score[(given.positive == 1) & (given.score < 0.5)]
    assert missed[0] == wrong.min()
    sure = [row["probability"] for row in found["wrong_class"]]
    assert sure == sorted(sure, reverse=True)
    for row in found["wrong_class"]:  # bacteria for virus, and not a miss
        assert {row["pathogen"].upper(), row["predicted"]} == {"BACTERIA", "VIRUS"}
        assert row["score"] >= 0.5
    assert "wrong_class" not in mistakes(predicted())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        ({"a": [float("inf"), (1, 2)]}, {"a": [None, [1, 2]]}),
        ("text", "text"),
    ],
)
def test_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_the_abnormal_without_pneumonia_are_not_counted_as_pneumonia(tmp_path: Path) -> None:
    data = full()
    splits = {"train": {"normal": 5, "unknown": 6, "other": 703}, "test": {"normal": 3}}
    page, _ = write_report(replace(data, dataset=data.dataset | {"splits": splits}), tmp_path)
    row = re.search(r"<tr><td>train</td>(.*?)</tr>", page.read_text())
    cells = re.findall(r">(\d+)<", row.group(1))
    assert cells == ["5", "6", "0", "0", "6", "703", "714", "11"]
