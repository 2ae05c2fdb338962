import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.ingest.summary import IngestSummary
from components.report.data import DISCLAIMER, Predicted, ReportData, Sample
from components.report.numbers import mistakes, plain, report_numbers
from components.report.page import write_report
from tests.images import FORMS, encode, gray

EVIL = "<img src=x onerror=alert(1)>.jpeg"


def predicted(n: int = 40, seed: int = 0) -> Predicted:
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % 3 > 0).astype(np.int64)
    score = np.clip(0.3 + 0.4 * label + rng.normal(0, 0.25, n), 0.001, 0.999)
    pathogen = np.where(label == 0, "normal", np.where(np.arange(n) % 2, "bacteria", "virus"))
    names = [f"test/PNEUMONIA/p{i}.jpeg" for i in range(n)]
    names[0] = EVIL
    return Predicted(
        sha256=np.array([f"id{i}" for i in range(n)]),
        filename=np.array(names),
        patient=np.array([f"patient{i // 2}" for i in range(n)]),
        pathogen=pathogen,
        source=np.where(label == 0, "IM", "person"),
        label=label,
        score=score,
    )


def full() -> ReportData:
    image = encode(Image.fromarray(gray()), "JPEG")
    answers = predicted()
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
            "trunk": "InceptionV3", "image_size": 299, "fit": "stretch", "seed": 3,
            "weights": {"kind": "random", "file": "", "sha256": "", "reason": "offline"},
            "parameters": {"trainable": 4098, "total": 21_806_882},
            "class_weight": {"NORMAL": 1.9, "PNEUMONIA": 0.68},
            "seconds": {"embed": 12.3, "fit": 4.5}, "steps": 2379,
        },
        history={"epochs": [1, 2], "loss": [0.7, 0.4], "val_loss": [0.6, 0.5],
                 "accuracy": [0.5, 0.8], "val_accuracy": [0.6, 0.7], "val_auc": [0.71, None],
                 "best_epoch": 2},
        model_summary="Model: <big>",
        predictions=answers,
        images={str(i): image for i in answers.sha256},
        tfma={"overall": {"auc": 0.91234, "accuracy": 0.8}},
        blessing={"blessed": True, "failures": ["slice virus: too low"], "rules": [
            {"metric": "auc", "slice": "overall", "kind": "at least", "bound": 0.8,
             "value": 0.91234, "ok": True}]},
        pushed="/serving/1234567",
        config="name: full\n",
        versions={"tfx": "1.21.0"},
        nodes=[{"name": "Trainer", "seconds": 485.7, "cached": False},
               {"name": "Transform", "seconds": 0.02, "cached": True}],
    )  # fmt: skip


class Links(html.parser.HTMLParser):
    """Collects what a browser would fetch, and checks that tags close."""

    void = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.fetched += [v for k, v in attrs if k in ("src", "href") and v]
        self.scripts += tag == "script"
        if tag == "img":
            self.images.append(values)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text())
    assert links.open == []
    return links


def missing(name: str) -> ReportData:
    empty: Any = {"samples": [], "notices": [], "images": {}, "versions": {}}.get(name)
    return replace(full(), **{name: "" if name == "pushed" else empty})


PARTS = ["dataset", "leakage", "samples", "training", "history", "model_summary", "predictions",
         "images", "tfma", "blessing", "pushed", "config", "versions", "notices",
         "nodes"]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [full(), ReportData(name="nothing"), *(missing(name) for name in PARTS)],
    ids=["full", "nothing", *PARTS],
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
                 "kind to come", "slice virus: too low", "from the cache"):  # fmt: skip
        assert part in text
    assert numbers["test"] == {"images": 40, "patients": 20, "positives": 26}
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
    ".nodes.1.seconds",  # from the cache
)


def test_every_number_of_the_json_stands_on_the_page(tmp_path: Path) -> None:
    page, facts = write_report(full(), tmp_path)
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


@pytest.mark.parametrize("part", ["training", "history", "blessing", "leakage"])
def test_facts_may_be_partly_there(part: str, tmp_path: Path) -> None:
    """Each key of a free-form record left out in turn."""
    whole = getattr(full(), part)
    needed = {"blessing": ("blessed", "rules"), "leakage": ("ok",)}.get(part, ())
    for key in set(whole) - set(needed):
        fewer = {name: value for name, value in whole.items() if name != key}
        page, _ = write_report(replace(full(), **{part: fewer}), tmp_path / key)
        parse(page)
    if not needed:
        page, _ = write_report(replace(full(), **{part: {}}), tmp_path / "none")
        assert "was found" in page.read_text() or "were found" in page.read_text()


def test_a_flawless_slice_carries_its_bound_and_the_note(tmp_path: Path) -> None:
    answers = predicted()
    few = answers.where(np.flatnonzero(answers.label == 0)[:3])
    few.score[:] = 0.0001
    page, facts = write_report(replace(full(), predictions=few), tmp_path)
    slices = json.loads(facts.read_text())["slices"]
    assert slices[0]["metrics"]["specificity"]["low"] == pytest.approx(0.025 ** (1 / 3))
    assert "1.000 (0.292 to 1.000)\N{DAGGER}" in re.sub(r"\s", " ", page.read_text())
    assert "Clopper-Pearson" in page.read_text()
    answers.score[::5] = 1 - answers.score[::5]  # some of each kind is wrong
    answers.score[:4] = [0.9, 0.1, 0.1, 0.1]
    page, facts = write_report(replace(full(), predictions=answers), tmp_path / "other")
    assert not json.loads(facts.read_text())["flawless"]
    assert "Clopper-Pearson" not in page.read_text()


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, "0.000"), (1e-5, "below 0.001"), (0.25, "0.250"), (0.99999, "above 0.999"),
     (1.0, "1.000")],
)  # fmt: skip
def test_a_score_is_not_rounded_to_certainty(score: float, expected: str, tmp_path: Path) -> None:
    answers = predicted()
    answers.score[:] = score  # one class is wrong, whatever the score
    page, _ = write_report(replace(full(), predictions=answers), tmp_path)
    assert f"score {expected}" in page.read_text()


def test_names_of_any_letters_are_written(tmp_path: Path) -> None:
    answers = predicted()
    names = np.array(["R\u00f6ntgen \u80ba.png", "bytes \udcff.png"] * 20)
    page, _ = write_report(replace(full(), predictions=replace(answers, filename=names)), tmp_path)
    assert "R\u00f6ntgen \u80ba.png" in page.read_text(encoding="utf-8")


def test_hostile_names_are_text(tmp_path: Path) -> None:
    page, _ = write_report(full(), tmp_path)
    text = page.read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    assert "Model: &lt;big&gt;" in text


@pytest.mark.parametrize("label", [0, 1])
def test_a_test_split_of_one_class(label: int, tmp_path: Path) -> None:
    answers = predicted()
    one = answers.where(answers.label == label)
    page, facts = write_report(replace(full(), predictions=one), tmp_path)
    parse(page)
    metrics = json.loads(facts.read_text())["metrics"]
    assert metrics["auc"]["estimate"] is None
    assert metrics["sensitivity" if label else "specificity"]["estimate"] is not None
    assert "not defined" in page.read_text()


def test_an_empty_test_split(tmp_path: Path) -> None:
    none = predicted().where(np.zeros(40, bool))
    page, facts = write_report(replace(full(), predictions=none), tmp_path)
    parse(page)
    assert "metrics" not in json.loads(facts.read_text())
    assert "no result to show" in page.read_text()


def test_a_score_that_is_no_number_is_refused(tmp_path: Path) -> None:
    answers = predicted()
    answers.score[3] = np.nan
    with pytest.raises(ValueError, match="nan"):
        write_report(full().__class__(name="x", predictions=answers), tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_mistakes_are_the_most_confident_ones() -> None:
    answers = predicted()
    found = mistakes(answers, 0.5)
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
    wrong = answers.score[(answers.label == 1) & (answers.score < 0.5)]
    assert missed[0] == wrong.min()


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
