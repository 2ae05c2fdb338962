"""The Report node on the files of an artificial run, with real TFX artifacts."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import records
from tests.support.images.synthetic import FORMS
from tests.support.predictions import synthetic_predictions, write_scorer_output


@pytest.fixture
def run(tmp_path: Path) -> dict[str, Any]:
    """Input artifacts: predictions on test and validation, records, a decision."""
    import tensorflow as tf
    from tfx.types import standard_artifacts

    from components.artifacts import Predictions

    kinds = {
        "examples": standard_artifacts.Examples,
        "model_run": standard_artifacts.ModelRun,
        "predictions": Predictions,
        "evaluation": standard_artifacts.ModelEvaluation,
        "blessing": standard_artifacts.ModelBlessing,
        "pushed_model": standard_artifacts.PushedModel,
        "infra_blessing": standard_artifacts.InfraBlessing,
    }
    found = {name: kind() for name, kind in kinds.items()}
    for name, artifact in found.items():
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
    found["examples"].split_names = '["train", "test"]'
    for split in ("train", "test"):
        folder = tmp_path / "examples" / f"Split-{split}"
        folder.mkdir()
        with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as out:
            row = records.values(FORMS["jpeg_gray"](), "virus", f"{split}-1")
            out.write(records.example(row))
    write_scorer_output(synthetic_predictions(30), tmp_path / "predictions")
    write_scorer_output(
        synthetic_predictions(20, 1), tmp_path / "model_run", "val_predictions.parquet"
    )
    decision = {"blessed": True, "rules": [], "failures": [], "notes": []}
    (tmp_path / "blessing" / "decision.json").write_text(json.dumps(decision))
    found["infra_blessing"].set_int_custom_property("blessed", 0)
    (tmp_path / "infra_blessing" / "validation.json").write_text('{"reasons": ["no: 1 differs"]}')
    found["pushed_model"].set_int_custom_property("pushed", 1)
    found["pushed_model"].set_string_custom_property("pushed_destination", "/serving/77")
    return found


def test_node_writes_the_page(
    run: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx.types import channel_utils

    from components.artifacts import ReportPage
    from components.report.component import Report
    from core.reporting.report import collect

    # The output of TFMA is read in the end-to-end tests.
    monkeypatch.setattr(collect, "tfma_metrics", lambda _: {"overall": {"auc": 0.5}})
    config = yaml.safe_dump({"name": "artificial", "evaluation": {"resamples": 20, "seed": 0}})
    (tmp_path / "records").mkdir()
    properties = {"config": config, "records": str(tmp_path / "records"), "records_sha256": "1"}
    node = Report(
        **{name: channel_utils.as_channel([artifact]) for name, artifact in run.items()},
        **properties,
        model=None,
    )
    assert set(node.inputs) == set(run)
    page = ReportPage()
    page.uri = str(tmp_path / "page")
    node.executor_spec.executor_class().Do(
        {name: [artifact] for name, artifact in run.items()}, {"report": [page]}, properties
    )
    numbers = json.loads((tmp_path / "page" / "report.json").read_text())
    assert numbers["name"] == "artificial"
    assert numbers["test"]["images"] == 30
    assert numbers["operating_point"]
    assert numbers["pushed"] == "/serving/77"
    assert numbers["infra"]["reasons"] == ["no: 1 differs"]
    assert "explain" not in numbers  # no model, no heat maps
    assert "PNEUMONIA, virus" in (tmp_path / "page" / "report.html").read_text()


def test_missing_predictions_are_an_error(run: dict[str, Any], tmp_path: Path) -> None:
    from core.reporting.report.collect import collect
    from schema.errors import PneumoError

    (tmp_path / "predictions" / "predictions.parquet").unlink()
    names = ("model_run", "predictions", "evaluation", "blessing")
    folders = {name: Path(run[name].uri) for name in names}
    with pytest.raises(PneumoError, match="run the Scorer again"):
        collect(train=[], test=[], records="", config="{}", **folders)
