import json
from pathlib import Path
from typing import Any

import pytest
from tfx.components.pusher import executor as pusher_executor
from tfx.types import standard_artifacts

from components.artifacts import Predictions
from components.gate.component import Gate, disagreements
from core.metrics.options import EvaluationOptions
from core.predictions import table
from core.predictions.predictions import SplitPredictions
from schema.errors import PneumoError
from tests.support.predictions import synthetic_predictions, write_scorer_output


def run(
    folder: Path,
    candidate: SplitPredictions | None,
    blessed: SplitPredictions | None = None,
    least: float = 0.6,
) -> standard_artifacts.ModelBlessing:
    predictions, model = Predictions(), standard_artifacts.Model()
    predictions.uri = str(folder / "predictions")
    Path(predictions.uri).mkdir(parents=True)
    model.uri, model.id = str(folder / "model"), 7
    inputs: dict[str, Any] = {"predictions": predictions, "model": model}
    if candidate is not None:
        write_scorer_output(candidate, Path(predictions.uri))
    if blessed is not None:
        write_scorer_output(blessed, Path(predictions.uri), table.BASELINE)
        baseline = standard_artifacts.Model()
        baseline.uri, baseline.id = str(folder / "baseline"), 3
        inputs["baseline_model"] = baseline
    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(folder / "blessing")
    options = EvaluationOptions(resamples=100, gate={"auc": {"min": least}})
    Gate.test_call(**inputs, blessing=blessing, options=options.model_dump_json())
    return blessing


def test_an_empty_baseline_is_none(tmp_path: Path) -> None:
    """What a Baseline leaves that found nothing."""
    (tmp_path / "baseline").mkdir()
    (tmp_path / "baseline" / "found.json").write_text('{"found": false}')
    same = synthetic_predictions(90)
    blessing = run(tmp_path, same, same)
    assert not blessing.has_custom_property("baseline_model_id")


def pusher_accepts(blessing: standard_artifacts.ModelBlessing) -> bool:
    """What TFX's Pusher itself asks."""
    return pusher_executor.Executor().CheckBlessing({"model_blessing": [blessing]})


@pytest.mark.parametrize(("least", "blessed"), [(0.6, True), (0.9999, False)])
def test_the_blessing_is_what_pusher_reads(least: float, blessed: bool, tmp_path: Path) -> None:
    blessing = run(tmp_path, synthetic_predictions(90), least=least)
    marker = "BLESSED" if blessed else "NOT_BLESSED"
    names = sorted(path.name for path in Path(blessing.uri).iterdir())
    assert names == sorted([marker, "decision.json"])
    assert blessing.get_int_custom_property("blessed") == int(blessed)
    assert blessing.get_int_custom_property("gate") == 1
    assert blessing.get_int_custom_property("current_model_id") == 7
    assert blessing.get_string_custom_property("current_model") == str(tmp_path / "model")
    assert not blessing.has_custom_property("baseline_model_id")
    assert pusher_accepts(blessing) is blessed
    decision = json.loads((Path(blessing.uri) / "decision.json").read_text())
    assert decision["blessed"] is blessed
    assert decision["tfma"] is None


def test_against_the_blessed_model(tmp_path: Path) -> None:
    same = synthetic_predictions(90)
    blessing = run(tmp_path / "same", same, same)
    assert blessing.get_int_custom_property("baseline_model_id") == 3
    assert pusher_accepts(blessing)
    worse = run(
        tmp_path / "worse",
        synthetic_predictions(200, skill=0.2),
        synthetic_predictions(200, skill=4.0),
        least=0.1,
    )
    assert not pusher_accepts(worse)
    decision = json.loads((Path(worse.uri) / "decision.json").read_text())
    assert [test["metric"] for test in decision["tests"] if not test["ok"]] == ["auc", "accuracy"]
    assert len(decision["failures"]) == 2


@pytest.mark.parametrize("given", [None, synthetic_predictions(0)], ids=["no file", "no rows"])
def test_no_answers_no_verdict(given: SplitPredictions | None, tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="no predictions for the test split"):
        run(tmp_path, given)
    assert not (tmp_path / "blessing").exists()


def test_a_disagreement_with_tfma_is_reported() -> None:
    rules = [{"metric": "auc", "ok": True}, {"metric": "f1", "ok": False}]
    tfma = [
        {"metric": "auc", "value": 0.799, "ok": False},
        {"metric": "f1", "value": 0.1, "ok": False},
        {"metric": "precision", "value": 0.1, "ok": False},
    ]
    lines = disagreements({"rules": rules, "tfma": {"rules": tfma}})
    assert len(lines) == 1
    assert "0.799" in lines[0]
    assert disagreements({"rules": rules, "tfma": None}) == []
