"""The real pipeline, run, run again, changed, broken."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.ingest.job import ingest
from core.ingest.options import IngestOptions
from core.ingest.records.integrity import list_shards
from core.predictions import table
from schema.files import sha256_of_file
from tests.support import records
from tests.support.images.synthetic import encode, gray
from tests.support.runs.processes import (
    NODES,
    cached,
    execution_states,
    metrics,
    pneumo,
    run_pipeline,
    summary,
)

PREPARED = {
    "ImportExampleGen",
    "ImportSchemaGen",
    "StatisticsGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Embedder",
}


def outputs(work: Path) -> dict[str, Any]:
    return {node["name"]: node["outputs"] for node in summary(work)["nodes"]}


def predictions(work: Path) -> dict[str, list[Any]]:
    return table.read(Path(outputs(work)["Scorer"]["predictions"][0]) / table.FILE).to_pydict()


def test_every_node_ran_once(small_run: Path) -> None:
    states = execution_states(small_run)
    assert set(states) == set(NODES)
    assert all(found == ["COMPLETE"] for found in states.values())
    assert not any(cached(small_run).values())


def test_everything_promised_is_there(small_run: Path) -> None:
    result = summary(small_run)
    assert Path(result["report"]).is_file()
    assert Path(result["report"]).with_suffix(".json").is_file()
    assert result["blessed"] is True
    pushed = Path(result["pushed"])
    assert pushed.parent == small_run / "serving"
    assert (pushed / "saved_model.pb").is_file()
    left = outputs(small_run)
    model_run = Path(left["Trainer"]["model_run"][0])
    card = Path(left["ModelCard"]["card"][0])
    assert (card / "card.html").stat().st_size
    assert json.loads((card / "card.json").read_text())
    for name in ("history.json", "training.json", "model_summary.txt", "val_predictions.parquet"):
        assert (model_run / name).stat().st_size
    assert list(model_run.rglob("events.out.tfevents.*"))
    assert not list(model_run.rglob("*.f32"))  # scratch of the embedding is gone


def test_predictions_cover_exactly_the_test_split(small_run: Path) -> None:
    dataset = json.loads((Path(summary(small_run)["records"]) / "dataset.json").read_text())
    rows = predictions(small_run)
    assert len(rows["sha256"]) == sum(dataset["splits"]["test"].values())
    assert all(name.startswith("chest_xray/test/") or "/test/" in name for name in rows["filename"])
    normal = [p == "normal" for p in rows["pathogen"]]
    assert [label == 0 for label in rows["label"]] == normal


def test_tfma_and_the_predictions_agree(small_run: Path) -> None:
    import numpy as np
    import tensorflow_model_analysis as tfma
    import tfx.v1  # noqa: F401  before TFMA

    evaluation = tfma.load_eval_result(outputs(small_run)["Evaluator"]["evaluation"][0])
    overall = dict(evaluation.slicing_metrics)[()][""][""]
    rows = predictions(small_run)
    labels, scores = np.array(rows["label"]), np.array(rows["score"])
    accuracy = ((scores >= 0.5) == labels).mean()
    assert len(set(scores)) > len(scores) / 2  # a model of one constant score would pass below
    assert overall["example_count"]["doubleValue"] == len(labels)
    assert overall["accuracy"]["doubleValue"] == pytest.approx(accuracy)
    assert overall["mean_prediction"]["doubleValue"] == pytest.approx(scores.mean(), abs=1e-5)


def test_the_pushed_model_answers(small_run: Path, phantoms: Path) -> None:
    images = sorted((phantoms / "chest_xray" / "test").rglob("*.jpeg"))[:3]
    done = pneumo("predict", "--model", small_run / "serving", "--json", *images)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == [str(image) for image in images]
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert answer["predicted"] == max(answer["probabilities"], key=answer["probabilities"].get)
        assert answer["score"] == pytest.approx(answer["probabilities"]["PNEUMONIA"], abs=1e-6)
        called = {"POSITIVE": "PNEUMONIA", "NEGATIVE": "NORMAL"}[answer["decision"]]
        assert answer["predicted"] == called


def test_a_second_run_is_answered_from_the_cache(
    small_work: Path, phantoms: Path, config: Path
) -> None:
    versions = sorted((small_work / "serving").iterdir())
    done = pneumo("run", "--config", config, "--data", phantoms, "--workdir", small_work, "--json")
    answer = cached(small_work)
    assert not answer.pop("latest_blessed_model")  # TFX resolves anew each time
    assert all(answer.values())
    assert sorted((small_work / "serving").iterdir()) == versions
    assert done.stdout.count("cached") >= len(answer)
    assert all(
        states[:1] == ["COMPLETE"] and set(states[1:]) <= {"CACHED", "COMPLETE"}
        for states in execution_states(small_work).values()
    )


def test_a_changed_seed_trains_again_and_meets_the_blessed_model(
    small_work: Path, phantoms: Path, config: Path
) -> None:
    before = summary(small_work)
    first = outputs(small_work)["Trainer"]["model"]
    run_pipeline(config, phantoms, small_work, "training.seeds=[7]")
    assert {name for name, was in cached(small_work).items() if was} == PREPARED
    after = summary(small_work)
    assert outputs(small_work)["latest_blessed_model"]["model"] == first
    assert after["pushed"] != before["pushed"]
    assert len(list((small_work / "serving").iterdir())) == 2
    change = {test["metric"]: test for test in metrics(small_work)["blessing"]["tests"]}["auc"]
    assert change["ok"]
    aucs = [before["metrics"]["auc"]["estimate"], after["metrics"]["auc"]["estimate"]]
    assert change["difference"] == pytest.approx(aucs[1] - aucs[0], abs=1e-6)


def test_a_gate_that_is_missed_pushes_nothing_and_still_reports(
    small_work: Path, phantoms: Path, config: Path
) -> None:
    versions = sorted((small_work / "serving").iterdir())
    done = run_pipeline(config, phantoms, small_work, "evaluation.gate.auc.min=1.0")
    result = summary(small_work)
    assert result["blessed"] is False
    assert result["pushed"] == ""
    assert "not pushed" in done.stdout
    assert Path(result["report"]).is_file()
    assert sorted((small_work / "serving").iterdir()) == versions


def _sign(data: Path) -> None:
    """Writes the digest of the shards to `dataset.json`, as if ingest had written them."""
    summary = json.loads((data / "dataset.json").read_text())
    digests = hashlib.sha256()
    for shard in list_shards(data, summary["splits"]):
        digests.update(f"{shard.name} {sha256_of_file(shard)}\n".encode())
    summary["content_sha256"] = digests.hexdigest()
    (data / "dataset.json").write_text(json.dumps(summary))


def test_data_that_breaks_the_contract_stops_the_run_with_its_text(
    phantoms: Path, config: Path, tmp_path: Path
) -> None:
    data = tmp_path / "records"
    ingest(phantoms, data, IngestOptions())
    image = encode(Image.fromarray(gray()), "PNG")
    fungus = records.values(image, "fungus", "b-1")
    (data / "train-00000-of-00001.tfrecord").rename(data / "train-00000-of-00002.tfrecord")
    records.write(str(data / "train-00001-of-00002.tfrecord"), [fungus])
    _sign(data)
    done = run_pipeline(config, data, tmp_path / "work", check=False)
    assert done.returncode == 2
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("pneumo:")]
    for part in ("AnomalyGate", "pathogen", "fungus", "train", "run.log"):
        assert part in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "work" / "artifacts" / "Transform").exists()
