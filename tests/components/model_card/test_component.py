"""The node on the files of an artificial run, with real TFX artifacts."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from schema.labels import TWO_STAGE
from tests.support.artificial_run import DECISION, REPORT, TRAINING, dataset


@pytest.fixture
def run(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    from tfx.types import standard_artifacts

    from components.artifacts import CardPage, Predictions, ReportPage

    def artifact(kind: Any, node: str, key: str, number: int, made: int) -> Any:
        made_one = kind()
        made_one.uri = str(tmp_path / node / key / str(number))
        made_one.id = number * 10
        made_one.mlmd_artifact.create_time_since_epoch = made
        Path(made_one.uri).mkdir(parents=True)
        return made_one

    inputs = {
        "report": [artifact(ReportPage, "Report", "report", 14, 1_700_000_009_000)],
        "model": [artifact(standard_artifacts.Model, "Trainer", "model", 8, 1_700_000_000_000)],
        "model_run": [artifact(standard_artifacts.ModelRun, "Trainer", "model_run", 8, 0)],
        "predictions": [artifact(Predictions, "Scorer", "predictions", 11, 1_700_000_005_000)],
        "blessing": [artifact(standard_artifacts.ModelBlessing, "Gate", "blessing", 12, 1)],
    }
    inputs["blessing"][0].set_int_custom_property("blessed", 0)
    for key, name, content in (
        ("model_run", "training.json", TRAINING),
        ("report", "report.json", REPORT),
        ("blessing", "decision.json", DECISION),
    ):
        (Path(inputs[key][0].uri) / name).write_text(json.dumps(content))
    records = tmp_path / "records"
    records.mkdir()
    (records / "dataset.json").write_text(json.dumps(dataset()))
    reject = json.dumps({"file": "a.jpeg", "reason": "truncated", "detail": ""})
    (records / "rejects.jsonl").write_text(f"{reject}\n" * 300)
    properties = {
        "config": yaml.safe_dump({"name": "artificial", "card": {"licence": "CC BY 4.0"}}),
        "records": str(records),
        "task": json.dumps(TWO_STAGE.to_dict()),
    }
    out = CardPage()
    out.uri = str(tmp_path / "ModelCard" / "card" / "15")
    return inputs, {"card": [out]}, properties


def test_node_reads_files_and_metadata(run: Any) -> None:
    from tfx.types import channel_utils

    from components.model_card.component import ModelCard

    inputs, outputs, properties = run
    node = ModelCard(
        **{key: channel_utils.as_channel(given) for key, given in inputs.items()},
        **{**properties, "task": TWO_STAGE.to_dict()},
    )
    assert set(node.inputs) == set(inputs)
    assert json.loads(node.exec_properties["task"]) == json.loads(properties["task"])
    node.executor_spec.executor_class().Do(inputs, outputs, properties)
    folder = Path(outputs["card"][0].uri)
    assert (folder / "card.html").is_file()
    card = json.loads((folder / "card.json").read_text())
    found = {item["id"]: item["value"] for item in card["items"]}
    assert found["licence"] == "CC BY 4.0"
    assert "131 files found" in found["flow"]
    assert found["disjoint"] == "unknown"  # there is no leakage.json
    assert card["decision"]["blessed"] is False
    assert card["metrics"]["auc"]["estimate"] == REPORT["metrics"]["auc"]["estimate"]
    assert len(card["rejects"]) == 200
    by_key = {row["key"]: row for row in card["lineage"]}
    assert by_key["model"] == {
        "key": "model",
        "type": "Model",
        "artifact": 80,
        "node": "Trainer",
        "execution": 8,
        "made": "2023-11-14 22:13:20",
        "folder": "Trainer/model/8",
        "properties": {},
    }
    assert by_key["model_run"]["made"] == ""
    assert by_key["blessing"]["properties"] == {"blessed": 0}
    assert [row["key"] for row in card["lineage"]][-3:] == ["model", "predictions", "report"]


def test_records_in_an_object_store_and_copied_artifacts(run: Any, tmp_path: Path) -> None:
    """As on a cluster: the node works on copies, and properties come as JSON numbers."""
    from components.model_card.executor import Executor
    from schema import storage

    inputs, outputs, properties = run
    uri = f"memory://bucket/{tmp_path.name}"
    storage.put(Path(properties["records"]), uri)
    blessing = inputs["blessing"][0]
    blessing.set_json_value_custom_property("blessed", 0.0)
    blessing.set_json_value_custom_property(storage.ORIGIN, "s3://bucket/Gate/1a2b/blessing")
    Executor().Do(inputs, outputs, {**properties, "records": uri})
    card = json.loads((Path(outputs["card"][0].uri) / "card.json").read_text())
    (row,) = (row for row in card["lineage"] if row["key"] == "blessing")
    assert row["folder"] == "s3://bucket/Gate/1a2b/blessing"
    assert row["properties"] == {"blessed": 0}
    assert len(card["rejects"]) > 0
    assert card["dataset"]
