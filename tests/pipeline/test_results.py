import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import Run
from schema.errors import PneumoError


def test_a_finished_run(small_run: Path) -> None:
    run = Run.open(small_run)
    assert run.config.name == "small"
    assert run.metrics["auc"]["low"] <= run.metrics["auc"]["estimate"]  # type: ignore[operator]
    assert run.metrics["auc"] == run.report["metrics"]["auc"]
    assert (run.model_folder / "saved_model.pb").is_file()
    assert run.figures.keys() >= {"roc", "loss", "accuracy"}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in run.figures.values())


def test_a_masked_salt_is_left_out(small_run: Path) -> None:
    config = yaml.safe_load(Run.open(small_run).report["config"])
    config["data"]["ingest"]["patient_salt"] = "**********"
    run = Run.open(small_run)
    run.report["config"] = yaml.safe_dump(config)
    assert run.config.data.ingest.patient_salt.get_secret_value() == ""


@pytest.mark.parametrize("split", ["val", "test"])
def test_predictions_have_one_row_per_image(small_run: Path, split: str) -> None:
    run = Run.open(small_run)
    predictions = run.predictions(split)  # type: ignore[arg-type]
    assert predictions["sha256"].is_unique
    assert predictions["score"].between(0, 1).all()
    if split == "test":
        assert len(predictions) == run.report["test"]["images"]


def test_a_folder_without_a_finished_run(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match=r"has no run\.json"):
        Run.open(tmp_path)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, pipeline; print(sorted({'pydantic', 'yaml', 'tfx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
