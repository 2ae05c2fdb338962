"""Unlabelled images answered in the run; a candidate whose server does not answer as scored."""

import html
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.batch_results.results import schema
from core.predictions import table
from tests.support.runs.processes import (
    NODES,
    cached,
    execution_states,
    pneumo,
    run_pipeline,
    summary,
)

IMAGES = 12


@pytest.fixture(scope="module")
def batch(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of images in one folder, without a class that means anything."""
    folder = tmp_path_factory.mktemp("batch")
    inbox = folder / "source" / "inbox"
    inbox.mkdir(parents=True)
    files = sorted((phantoms / "chest_xray" / "test").rglob("*.jpeg"))[:IMAGES]
    for number, file in enumerate(files):
        shutil.copy(file, inbox / f"scan-{number}.jpeg")
    pneumo("ingest", folder / "source", folder / "records", "--class-map", "inbox=unknown")
    return folder / "records"


@pytest.fixture(scope="module")
def work(small_work: Path, phantoms: Path, config: Path, batch: Path) -> Path:
    folder = small_work
    done = run_pipeline(config, phantoms, folder, f"batch.records={batch}")
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("batch ")]
    assert f"{IMAGES} images" in line
    return folder


def test_each_unlabelled_image_has_its_row(work: Path) -> None:
    assert set(execution_states(work)) == {
        *NODES,
        "BatchExampleGen",
        "BulkInferrer",
        "BatchResults",
    }
    result = summary(work)
    assert result["batch_rows"] == IMAGES
    rows = pq.read_table(result["batch"])
    assert rows.schema.equals(schema())
    assert json.loads(rows.schema.metadata[b"classes"]) == ["NORMAL", "PNEUMONIA"]
    assert sorted(rows["file"].to_pylist()) == sorted(
        f"inbox/scan-{number}.jpeg" for number in range(IMAGES)
    )
    assert set(rows["status"].to_pylist()) == {"OK"}


def test_a_row_says_what_predict_says(work: Path, phantoms: Path) -> None:
    rows = {row["file"]: row for row in pq.read_table(summary(work)["batch"]).to_pylist()}
    files = sorted((phantoms / "chest_xray" / "test").rglob("*.jpeg"))[:3]
    done = pneumo("predict", "--model", work / "serving", "--json", *files)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 3
    for number, answer in enumerate(answers):
        row = rows[f"inbox/scan-{number}.jpeg"]
        assert row["score"] == pytest.approx(answer["score"], abs=1e-5)
        assert row["decision"] == answer["decision"]
        assert row["predicted_class"] == answer["predicted"]
        assert row["probabilities"] == pytest.approx(
            list(answer["probabilities"].values()), abs=1e-5
        )


def test_a_server_that_answers_otherwise_than_scored_refuses_the_candidate(
    work: Path, phantoms: Path, config: Path
) -> None:
    before = summary(work)
    assert before["pushed"]
    assert before["refused"] == []
    nodes = {node["name"]: node for node in before["nodes"]}
    file = Path(nodes["Scorer"]["outputs"]["predictions"][0]) / table.FILE
    rows = pq.read_table(file)
    place = rows.schema.get_field_index("score")
    scores = pa.array([score * 0.9 for score in rows["score"].to_pylist()], pa.float32())
    pq.write_table(rows.set_column(place, "score", scores), file)
    # Another way of validation: that node runs again, by `pneumo serve`, and the Scorer does not.
    done = run_pipeline(config, phantoms, work, "serving.infra_validation=endpoint")
    after, was = summary(work), cached(work)
    assert was["Scorer"]
    assert was["Gate"]
    assert not was["EndpointValidator"]
    assert after["blessed"] is True
    assert after["pushed"] == ""
    assert [str(path) for path in (work / "serving").iterdir()] == [before["pushed"]]
    assert [reason.split(":")[0] for reason in after["refused"]] == ["REST", "gRPC"]
    assert all("the Scorer had" in reason for reason in after["refused"])
    assert "not pushed: blessed by the gate, but infrastructure validation failed" in done.stdout
    infra = json.loads(Path(after["report"]).with_suffix(".json").read_text())["infra"]
    assert infra == {"blessed": False, "reasons": after["refused"], "how": "builtin"}
    for reason in after["refused"]:
        assert reason in done.stdout
        assert reason in html.unescape(Path(after["report"]).read_text())
