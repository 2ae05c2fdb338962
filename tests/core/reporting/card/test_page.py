import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.images.corruptions import CORRUPTIONS
from core.reporting.card.page import card, write_card
from core.reporting.card.run_files import RunFiles
from core.reporting.notices import DISCLAIMER
from core.reporting.report.decisions.flow import image_flow
from schema.labels import BINARY, TWO_STAGE
from tests.support.artificial_run import HOSTILE_NAME, REPORT, dataset
from tests.support.pages import check_standalone, read
from tests.support.predictions import synthetic_predictions
from tests.support.shifted_validation import results as shifted_results
from tests.support.stress_test import synthetic_stress_test


def test_page_is_standalone_and_agrees_with_the_json(files: RunFiles, tmp_path: Path) -> None:
    page_file, plain_file = write_card(files, tmp_path / "new" / "folder")
    page, plain = read(page_file), json.loads(plain_file.read_text())
    assert page.fetched == []
    assert DISCLAIMER in page.text
    assert HOSTILE_NAME in page.text  # a file name is text and not markup
    assert HOSTILE_NAME not in page_file.read_text()
    for item in plain["items"]:
        assert item["question"] in page.text
        assert item["value"] in page.text
    for part in (
        "77aa88",
        "c0ffee",
        "0.910",
        "0.850 to 0.970",
        "Trainer/model/8",
        "2026-01-31 14:05:00",
        "Not blessed by the gate",
        "source = IM",
    ):
        assert part in page.text
    assert f"{plain['known']} of {len(plain['items'])} items" in page.text
    assert plain["known"] == sum(item["known"] for item in plain["items"])
    assert sorted(path.name for path in page_file.parent.iterdir()) == ["card.html", "card.json"]


def test_the_stress_test_is_on_the_card(files: RunFiles, tmp_path: Path) -> None:
    results = synthetic_stress_test(9.0)
    stressed = replace(files, report=REPORT | {"stress_test": results})
    page_file, plain_file = write_card(stressed, tmp_path)
    page = check_standalone(page_file)
    assert len(page.images) == 1
    assert json.loads(plain_file.read_text())["stress_test"] == results
    assert page_file.read_text().count("<td>moderate</td>") == len(CORRUPTIONS)
    (robustness,) = (item for item in card(stressed)["items"] if item["id"] == "robustness")
    assert f"({results['largest']['moderate']['corruption']})" in robustness["value"]


def test_protocol_ends_with_the_test_split(files: RunFiles) -> None:
    rows = card(files)["protocol"]
    assert [row["on"] for row in rows] == ["train", "val", "val", "val", "val", "test"]
    assert rows[-1]["what"] == "nothing"
    searched = replace(files, config={**files.config, "tuner": {"trials": 50}})
    assert "50 trials" in card(searched)["protocol"][0]["how"]


def test_missing_parts(files: RunFiles, tmp_path: Path) -> None:
    nan = {"auc": {"estimate": float("nan"), "low": None, "high": None}}
    report: Any = {"metrics": {}, "classes_on_test": None, "slices": None}
    report |= {"shift": None, "members": None, "calibration": None}
    for given in (
        RunFiles(BINARY),
        *(
            replace(files, **{name: None})
            for name in ("dataset", "leakage", "training", "report", "decision")
        ),
        replace(files, lineage=[], run={}, rejects=[]),
        replace(files, dataset=dataset(splits={}, patients={})),
        *(replace(files, report={**REPORT, name: value}) for name, value in report.items()),
        replace(files, report={**REPORT, "metrics": nan}),
    ):
        page, numbers = write_card(given, tmp_path)
        assert DISCLAIMER in read(page).text
        json.loads(numbers.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def test_notices_come_first(files: RunFiles, tmp_path: Path) -> None:
    random = {"backbone": "X", "image_size": 9, "weights": {"kind": "random"}}
    given = replace(files, dataset=dataset(synthetic=True), training=random)
    text = read(write_card(given, tmp_path)[0]).text
    order = [text.index(part) for part in (DISCLAIMER, "SYNTHETIC DATA", "RANDOM")]
    assert order == sorted(order)


def test_flow_and_two_by_two_table(files: RunFiles, tmp_path: Path) -> None:
    test = synthetic_predictions(20, task=TWO_STAGE, band=(0.4, 0.6))
    counts = {"tp": 901, "fp": 902, "fn": 903, "tn": 904}
    report = {"flow": image_flow(files.dataset, test), "sides": ["A", "B"], "confusion": counts}
    values = {
        name: {"estimate": 0.5, "low": 0.4, "high": 0.6}
        for name in ("sensitivity", "specificity", "precision", "npv", "accuracy")
    }
    given = replace(files, report={**REPORT, "metrics": values, **report})
    page, _ = write_card(given, tmp_path)
    text = " ".join(re.sub(r"<[^>]*>", " ", page.read_text()).split())
    assert "Files found 131" in text
    assert "2 truncated" in text
    assert "87 train, 20 val" in text
    for row in report["flow"]["decisions"]:
        assert f"{row['images']} reference B: {row['positives']}, A: {row['negatives']}" in text
    for cells in ("901 902 1803", "903 904 1807", "1804 1806 3610", "NPV 0.500 (0.400 to 0.600)"):
        assert cells in text


def test_shifted_validation_is_on_the_card(files: RunFiles, tmp_path: Path) -> None:
    results = shifted_results(BINARY)
    page_file, plain_file = write_card(
        replace(files, report=REPORT | {"shifted_validation": results}), tmp_path
    )
    text = read(page_file).text
    assert all(fold["name"] in text for fold in results["folds"])
    assert json.loads(plain_file.read_text())["shifted_validation"] == results


def test_pooled_operating_point_is_in_the_protocol(files: RunFiles) -> None:
    assert files.training is not None
    calibration = files.training["calibration"] | {"fit_on": "pooled"}
    pooled = replace(files, training=files.training | {"calibration": calibration})
    chosen = {row["what"]: row["on"] for row in card(pooled)["protocol"]}
    assert chosen["temperature"] == chosen["operating point"] == "val and shifted folds"
    assert {row["on"] for row in card(files)["protocol"]} == {"train", "val", "test"}
