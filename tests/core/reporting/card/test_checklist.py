import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from core.reporting.card.checklist import CARD, CHECKLIST, UNKNOWN, fill_checklist, limitations
from core.reporting.card.options import CardOptions
from core.reporting.card.page import protocol
from core.reporting.card.run_files import RunFiles
from schema.labels import BACTERIA_VIRUS, BINARY, LOCATE, TASKS
from tests.support.artificial_run import REPORT, TRAINING, dataset
from tests.support.stress_test import synthetic_stress_test

# All items of TRIPOD+AI; CLAIM 2024 has 44.
TRIPOD = """1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g
13 14 15 16 17 18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"""


ROWS = [question for rows in CHECKLIST.values() for question in rows]


def items(files: RunFiles) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in fill_checklist(files)}


def test_checklist_contains_every_item_of_both_guidelines() -> None:
    claim = [n for q in ROWS for n in re.findall(r"\d+", q.claim)]
    tripod = [n for q in ROWS for n in re.findall(r"\d+[a-z]?", q.tripod)]
    assert Counter(claim) == Counter(str(n) for n in range(1, 45))
    assert Counter(tripod) == Counter(TRIPOD.split())
    assert max(Counter(q.id for q in ROWS).values()) == 1
    assert sorted(q.id for q in ROWS if q.option) == sorted(CardOptions.model_fields)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_items_are_unknown_without_files(task: Any) -> None:
    answered = {item["id"] for item in fill_checklist(RunFiles(task)) if item["known"]}
    # What holds for each model that the pipeline makes, and what the task itself says.
    assert answered == {"goal", "predictors", "input_checks", "limits"}


def test_configuration_answers_items(files: RunFiles) -> None:
    human = {q.id for q in ROWS if q.origin == CARD}
    found = items(files)
    assert {name for name in human if found[name]["known"]} == {"ethics"}  # not an empty contact
    assert found["ethics"]["value"] == "approved, number 12/34"
    assert found["ethics"]["origin"] == "configuration: card.ethics"
    assert found["readers"]["value"] == UNKNOWN
    assert "card.readers" in found["readers"]["origin"]
    given = {**files.config, "card": {"data_source": "Two hospitals."}}
    item = items(replace(files, config=given, dataset=dataset(synthetic=True)))["data_source"]
    assert item["value"].startswith("Two hospitals. Synthetic")
    assert "card.data_source" in item["origin"] and "dataset.json" in item["origin"]


ANSWERS = {
    "kind": "Xception | NORMAL, BACTERIA, VIRUS",
    "summary": "0.910 (0.850 to 0.970) | 20 test images of 17 patients",
    "goal": "BACTERIA or VIRUS from NORMAL",
    "preprocessing": "stretched to 224 x 224",
    "missing": "2 truncated | 5 images of unknown",
    "flow": "131 files found | 127 used | 2 rejected | 2 skipped",
    "assignment": "seed 4 | test: 20 images of 17 patients",
    "disjoint": "No leaks | 0 patients in two splits",
    "composition": "31 bacteria | 3 virus",
    "imbalance": "BACTERIA 0.75",
    "differences": "train 54% | val 50% | test 50% | negative images differ",
    "description": "dense layers of 64 | layer add_10 | two stages | 1,234 of 20,861,480",
    "initialisation": "xception.h5 | 77aa88 | that of the ImageNet weights",
    "training": "4 augmented copies | 3 epochs | stored activations | computed in bfloat16",
    "selection": "seed 3: epoch 7 of 9 | seed 5: epoch 2 of 8",
    "ensembling": "2 members (seeds 3, 5)",
    "updating": "temperature 1.357 | 0.111 before | 0.055 after",
    "output": "0.432 | sensitivity of at least 0.95 | 0.350 to 0.550 | 0.960 | 0.710",
    "uncertainty": "100 resamples | p 0.700 | over 2 seeds AUC 0.890 (0.880 to 0.900)",
    "heterogeneity": "IM: accuracy 0.880 (0.800 to 0.940)",
    "performance": "AUC 0.910 | Class accuracy 0.740 (0.600 to 0.850)",
    "failures": "2 of 10 positives | 1 of 10 negatives",
    "software": "tfx 1.21.0",
}


def test_files_answer_items(files: RunFiles) -> None:
    found = items(files)
    for name, parts in ANSWERS.items():
        assert found[name]["known"] and found[name]["origin"]
        assert [part for part in parts.split(" | ") if part not in found[name]["value"]] == []
    assert "/secret/home" not in " ".join(item["value"] for item in found.values())


RANDOM = {"kind": "random", "file": "", "sha256": "", "reason": "offline"}


def interval(estimate: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"estimate": estimate, "low": low, "high": high, "resamples_used": 100, "exact": False}


UNKNOWN_PATIENTS = {"ok": True, "counts": {"images_without_known_patient": 1234}}
UNDEFINED = {"auc": interval(None), "accuracy": interval(0.5)}


SEVERAL = {
    **TRAINING,
    "backbone": "Xception + VGG16",
    "backbones": [
        {
            "backbone": "Xception",
            "weights": TRAINING["weights"],
            "layer": "add_2",
            "fine_tune": {"view_size": 160},
        },
        {"backbone": "VGG16", "weights": RANDOM, "layer": "top", "fine_tune": None},
    ],
    "members": [
        {"backbone": name, "seed": 3, "epochs": 9, "best_epoch": 7, "temperature": 1.25}
        for name in ("Xception", "VGG16")
    ],
}


@pytest.mark.parametrize(
    ("change", "name", "part"),
    [
        ({"training": SEVERAL}, "initialisation", "Xception: xception.h5, SHA-256 77aa88"),
        ({"training": SEVERAL}, "initialisation", "; VGG16: RANDOM"),
        ({"training": SEVERAL}, "description", "add_2 upward on images resized to 160 x 160 and"),
        ({"training": SEVERAL}, "description", "VGG16 at 224 x 224, frozen;"),
        ({"training": SEVERAL}, "ensembling", "VGG16, seed 3, temperature 1.250"),
        ({"training": SEVERAL}, "selection", "VGG16, seed 3: epoch 7 of 9"),
        ({"training": {**TRAINING, "weights": RANDOM}}, "initialisation", "RANDOM"),
        (
            {"training": {**TRAINING, "weights": {**TRAINING["weights"], "published": "no"}}},
            "initialisation",
            "NOT that of the ImageNet",
        ),
        ({"leakage": {"ok": False, "counts": {"near_across_splits": 3}}}, "disjoint", "LEAKS"),
        ({"leakage": UNKNOWN_PATIENTS}, "disjoint", "but 1,234 images have no known patient"),
        ({"report": {**REPORT, "metrics": UNDEFINED}}, "performance", "AUC not defined"),
        ({"report": {**REPORT, "metrics": UNDEFINED}}, "performance", "0.500 (no interval)"),
        ({"task": BINARY}, "subsets", "All records"),
        # 40 normal and 5 unknown of train
        ({"task": BACTERIA_VIRUS}, "subsets", "45 of train, 10 of val, 10 of test"),
    ],
)
def test_unusual_files(files: RunFiles, change: dict[str, Any], name: str, part: str) -> None:
    assert part in items(replace(files, **change))[name]["value"]


@pytest.mark.parametrize("missing", ["dataset", "leakage", "training", "report", "decision"])
def test_any_file_may_be_missing(files: RunFiles, missing: str) -> None:
    found = fill_checklist(replace(files, **{missing: None}))
    assert len(found) == len(ROWS)
    assert not [item for item in found if " None" in item["value"]]


@pytest.mark.parametrize(
    ("change", "part", "there"),
    [
        ({}, "size of the file alone", True),
        ({}, "nothing much", False),
        ({}, "pathogen = virus (3)", True),
        ({}, "source = IM", False),  # 90 patients are enough
        ({}, "a note of the rule", True),
        ({}, "not blessed by the gate", True),
        ({"decision": {"blessed": True}}, "not blessed by the gate", False),
        ({}, "One seed", False),
        ({"training": {**TRAINING, "members": TRAINING["members"][:1]}}, "One seed", True),
        ({"dataset": dataset(synthetic=True)}, "synthetic", True),
        ({}, "The scores of negative images differ.", True),
        ({"report": {**REPORT, "slices": []}}, "indications", False),
        ({}, "unknown pathogen", True),
        ({"leakage": {"ok": False}}, "splits are not disjoint", True),
        ({"leakage": UNKNOWN_PATIENTS}, "1,234 images have no known patient", True),
        ({}, "no known patient", False),
        ({"report": REPORT | {"stress_test": synthetic_stress_test(9.0)}}, "AUC drops by", True),
        ({"report": REPORT | {"stress_test": synthetic_stress_test(0.0)}}, "AUC drops by", False),
    ],
)
def test_limitations(files: RunFiles, change: dict[str, Any], part: str, there: bool) -> None:
    assert any(part in line for line in limitations(replace(files, **change))) == there


BOXES = {
    "metrics": {
        "challenge": interval(0.21, 0.18, 0.24),
        "box_ap": interval(0.3, 0.2, 0.4),
        "pointing": interval(0.7, 0.6, 0.8),
        "froc/1": interval(0.5),
    },
    "counts": {
        "images": 9,
        "with_opacity": 5,
        "opacities": 6,
        "found": 2,
        "shown": 6,
        "false": 4,
        "without": 4,
        "disturbed": 3,
    },
    "chosen": {"threshold": 0.31, "shrink": 0.875, "combine": "product", "note": "", "score": 0.22},
}


def test_card_of_a_detector(files: RunFiles) -> None:
    found = replace(files, task=LOCATE, report=REPORT | {"boxes": BOXES})
    text = " ".join(item["value"] for item in items(found).values())
    for part in (
        "challenge score 0.210 (0.180 to 0.240), AUC",
        "Pointing accuracy 0.700 (0.600 to 0.800)",
        "of 6 marked opacities 4 have no box, and 3 of 4 images without one have a box",
    ):
        assert part in text, part
    assert any("An image without a box" in line for line in limitations(found))
    assert not any("box" in line.lower() for line in limitations(files))
    rows = {row["what"]: row for row in protocol(found)}
    chosen = rows["threshold, scale and score of boxes"]
    assert (chosen["on"], "0.310" in chosen["how"], "0.875" in chosen["how"]) == ("val", True, True)
    assert list(rows)[-1] == "nothing"  # test is opened after all of it
    noted = BOXES | {"chosen": {"threshold": 0.5, "note": "no true box on validation"}}
    lines = limitations(replace(found, report=REPORT | {"boxes": noted}))
    assert any("no true box on validation" in line for line in lines)
