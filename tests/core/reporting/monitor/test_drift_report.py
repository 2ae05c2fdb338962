"""The verdict, by TFDV itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.reporting.monitor.comparators import compute_statistics
from core.reporting.monitor.drift_report import check_drift
from core.reporting.monitor.inputs import LoggedInputs, from_rows
from core.reporting.monitor.options import MEASURES, MonitorOptions
from core.reporting.monitor.page import period, write_monitor_page
from core.reporting.monitor.reference import Reference
from core.reporting.notices import DISCLAIMER
from schema.errors import PneumoError
from tests.support.pages import check_standalone
from tests.support.server_log import log_rows


def logged_inputs(n: int, seed: int, **shift: float) -> LoggedInputs:
    return from_rows(log_rows(n, seed, **shift))


@pytest.fixture(scope="module")
def reference() -> Reference:
    found = logged_inputs(1500, 0)
    inputs = ["brightness", "height", "width"]
    return Reference(
        "it",
        compute_statistics(found.table[inputs]),
        compute_statistics(found.table[["score", "decision", "status"]]),
        found.embedding,
        found.patients,
    )


def alarmed(found: Any) -> set[str]:
    return {line.split(" against ")[0] for line in found.alarms}


QUICK = MonitorOptions(permutations=199)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_same_distribution_raises_no_alarm(reference: Reference, seed: int) -> None:
    found = check_drift(logged_inputs(200, seed), reference, QUICK)
    assert not found.drift
    assert sorted(one.name for one in found.findings) == sorted(MEASURES)
    assert found.to_dict()["embeddings"]["ok"] is True
    assert found.notes == []


@pytest.mark.parametrize(
    ("shift", "moved"),
    [
        ({"gain": 1.2}, {"brightness"}),
        ({"side": 0.5}, {"height", "width"}),
        ({"ill": 8.0}, {"score", "decision"}),
    ],
)
def test_shifted_measures_are_named(
    reference: Reference, shift: dict[str, float], moved: set[str]
) -> None:
    found = check_drift(logged_inputs(200, 9, **shift), reference, QUICK)
    assert found.drift
    assert alarmed(found) - {"embeddings"} == moved


def test_embeddings_and_rejections_alone(reference: Reference) -> None:
    moved = [{**row, "embedding": [v + 0.6 for v in row["embedding"]]} for row in log_rows(200, 5)]
    found = check_drift(from_rows(moved), reference, QUICK)
    assert alarmed(found) == {"embeddings"}
    assert found.to_dict()["embeddings"]["ok"] is False
    mixed = (
        log_rows(160, 4) + [{"status": "TRUNCATED: 3", "decision": "REJECTED", "score": -1}] * 40
    )
    found = check_drift(from_rows(mixed), reference, QUICK)
    assert alarmed(found) == {"status"}
    assert found.rejected == 40


def test_drift_between_two_logs(reference: Reference) -> None:
    options = MonitorOptions(permutations=199, thresholds={"brightness": 1.0})
    found = check_drift(
        logged_inputs(200, 5), reference, options, earlier=logged_inputs(200, 6, side=0.5)
    )
    assert {line.split(":")[0] for line in found.alarms} == {
        "height against earlier log",
        "width against earlier log",
    }


@pytest.mark.parametrize("n", [0, 99])
def test_too_few_images_are_rejected(reference: Reference, n: int) -> None:
    with pytest.raises(PneumoError, match=f"{n} usable images"):
        check_drift(logged_inputs(n, 1), reference, MonitorOptions())


def test_notes_on_measures_that_cannot_be_compared(reference: Reference) -> None:
    bare = [{key: row[key] for key in ("height", "width", "status")} for row in log_rows(150, 1)]
    found = check_drift(from_rows(bare), reference, MonitorOptions())
    assert not found.drift
    assert found.embeddings is None
    for name in ("brightness", "score", "decision", "embeddings"):
        assert any(note.startswith(f"{name} not compared") for note in found.notes)
    few = compute_statistics(logged_inputs(60, 3).table[["score", "decision", "status"]])
    found = check_drift(
        logged_inputs(200, 4), Reference("it", reference.inputs, few), MonitorOptions()
    )
    assert {one.name for one in found.findings} == {"brightness", "height", "width"}
    assert any(note.startswith("score not compared") for note in found.notes)


def test_page_and_numbers(reference: Reference, tmp_path: Path) -> None:
    found = check_drift(logged_inputs(200, 9, gain=1.3), reference, QUICK)
    page, numbers = write_monitor_page(found, tmp_path / "out")
    written = json.loads(numbers.read_text())
    assert written["drift"] is True
    assert written["embeddings"]["logged"] == 200
    shown = check_standalone(page)
    assert DISCLAIMER in shown.text
    assert len(shown.images) == 7
    assert all(line in shown.text for line in found.alarms)
    assert sorted(path.name for path in page.parent.iterdir()) == ["monitor.html", "monitor.json"]
    assert period((0.0, 86_400.0)) == "1970-01-01 00:00 to 1970-01-02 00:00 UTC"


def test_options() -> None:
    for values in ({"thresholds": {"colour": 0.1}}, {"thresholds": {"score": 1.5}}, {"least": 1}):
        with pytest.raises(ValueError, match=r"colour|0\.\.1|least"):
            MonitorOptions.model_validate(values)
    thresholds = MonitorOptions(thresholds={"score": 0.3}).thresholds
    assert thresholds == {**MonitorOptions().thresholds, "score": 0.3}
