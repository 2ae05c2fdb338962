"""The node on a small SavedModel, loaded in a process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from schema.errors import PneumoError
from schema.model_folder import INFRA_RESULT
from tests.components.endpoint_validator.scored import Scored


def run(
    tmp_path: Path, model: Path, scored: Scored, factor: float = 1.0, **changes: Any
) -> tuple[Any, list[str]]:
    """Runs the node on scores times `factor`; returns the blessing and the reasons against it."""
    import tensorflow as tf
    from tfx.types import artifact_utils, standard_artifacts

    from components.artifacts import Predictions
    from components.endpoint_validator.component import EndpointValidator
    from core.predictions import table
    from tests.support import records

    def artifact(kind: Any, name: str, folder: Path | None = None) -> Any:
        made = kind()
        made.uri = str(folder or tmp_path / name)
        return made

    examples = artifact(standard_artifacts.Examples, "examples")
    examples.split_names = artifact_utils.encode_split_names(["test"])
    (tmp_path / "examples" / "Split-test").mkdir(parents=True)
    rows = [
        records.values(content, "normal", f"{i}.jpeg", **{"image/sha256": str(i)})
        for i, content in enumerate(scored.contents)
    ]
    file = tmp_path / "examples" / "Split-test" / "data.gz"
    with tf.io.TFRecordWriter(str(file), "GZIP") as out:
        for row in rows[: changes.get("kept")]:
            out.write(records.example(row))
    columns: dict[str, list[Any]] = {name: [] for name in table.schema().names}
    for expected in scored.expected:
        known = {**expected._asdict(), "score": expected.score * factor}
        for field in table.schema():
            columns[field.name].append(known.get(field.name))
    (tmp_path / "predictions").mkdir()
    predictions = tmp_path / "predictions" / table.FILE
    table.write(predictions, iter([columns]))
    predictions.with_suffix(".json").write_text(json.dumps(scored.facts))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "Format-Serving").symlink_to(model)
    gate = artifact(standard_artifacts.ModelBlessing, "gate")
    gate.set_int_custom_property("blessed", changes.get("gate", 1))
    blessing = artifact(standard_artifacts.InfraBlessing, "blessing")
    node = EndpointValidator.EXECUTOR_SPEC.executor_class()
    node.Do(
        {
            "model": [artifact(standard_artifacts.Model, "model")],
            "examples": [examples],
            "predictions": [artifact(Predictions, "predictions")],
            "model_blessing": [gate],
        },
        {"blessing": [blessing]},
        {"how": "savedmodel", "image": "", "split": "test"},
    )
    result = json.loads((tmp_path / "blessing" / INFRA_RESULT).read_text())
    assert result["blessed"] is (result["reasons"] == [])
    return blessing, result["reasons"]


def is_pushed(blessing: Any) -> bool:
    from tfx.components.pusher import executor

    return executor.Executor().CheckBlessing({"infra_blessing": [blessing]})


def test_a_model_that_predicts_what_was_scored_is_blessed(
    tmp_path: Path, small_model: Path, scored: Scored
) -> None:
    blessing, reasons = run(tmp_path, small_model / "1", scored)
    assert reasons == []
    assert is_pushed(blessing)
    assert (tmp_path / "blessing" / "INFRA_BLESSED").is_file()


def test_other_predictions_than_scored_are_not(
    tmp_path: Path, small_model: Path, scored: Scored
) -> None:
    blessing, (reason,) = run(tmp_path, small_model / "1", scored, factor=0.9)
    assert "the Scorer had" in reason
    assert not is_pushed(blessing)
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").is_file()


def test_a_model_that_cannot_be_loaded_is_not_blessed(tmp_path: Path, scored: Scored) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"not a graph")
    blessing, (reason,) = run(tmp_path, broken, scored)
    assert "the process failed" in reason
    assert not is_pushed(blessing)


def test_a_candidate_that_the_gate_refused_is_not_loaded(tmp_path: Path, scored: Scored) -> None:
    blessing, reasons = run(tmp_path, tmp_path / "nothing", scored, gate=0)
    assert reasons == ["the candidate is not blessed by the Gate"]
    assert not is_pushed(blessing)


def test_scored_images_that_are_missing_stop_the_run(
    tmp_path: Path, small_model: Path, scored: Scored
) -> None:
    with pytest.raises(PneumoError, match="score again"):
        run(tmp_path, small_model / "1", scored, kept=2)
