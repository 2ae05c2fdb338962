"""`pneumo monitor` on a log and a run in the forms that server and nodes write."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from core.reporting.monitor.comparators import compute_statistics
from core.reporting.monitor.inputs import from_rows
from pipeline.commands.monitor import command, log_files
from schema.errors import PneumoError
from tests.support.predictions import synthetic_predictions, write_scorer_output
from tests.support.server_log import log_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with what `pneumo monitor` reads of it; it has no embeddings."""
    work = tmp_path_factory.mktemp("run") / "k=v [a] *? 100% #1 é"
    nodes_of = {"statistics": "StatisticsGen", "report": "Report"}
    at = {
        name: work / "artifacts" / nodes_of.get(name, "Trainer") / name / "3"
        for name in ("statistics", "model", "model_run", "report")
    }
    (at["statistics"] / "Split-train").mkdir(parents=True)
    table = from_rows(log_rows(1500, 0)).table[["brightness", "height", "width"]]
    file = at["statistics"] / "Split-train" / "FeatureStats.pb"
    file.write_bytes(compute_statistics(table).SerializeToString())
    extra = at["model"] / "Format-Serving" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "pneumo.json").write_text(json.dumps({"name": "it", "threshold": 0.5}))
    write_scorer_output(synthetic_predictions(300), at["model_run"], "val_predictions.parquet")
    at["report"].mkdir(parents=True)
    config = yaml.safe_dump({"name": "it", "monitor": {"thresholds": {"score": 1.0}}})
    (at["report"] / "report.json").write_text(json.dumps({"config": config}))
    nodes = [
        {"name": "StatisticsGen", "outputs": {"statistics": [str(at["statistics"])]}},
        {"name": "Trainer", "outputs": {n: [str(at[n])] for n in ("model", "model_run")}},
    ]
    run = {"nodes": nodes, "report": str(at["report"] / "report.html")}
    (work / "run.json").write_text(json.dumps(run))
    return work


def write_log(folder: Path, n: int, **shift: float) -> str:
    file = folder / "inputs.jsonl"
    lines = [{k: v for k, v in row.items() if k != "embedding"} for row in log_rows(n, 7, **shift)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


@pytest.mark.parametrize(("gain", "status"), [(1.0, 0), (1.3, 1)])
def test_exit_status(run: Path, tmp_path: Path, gain: float, status: int) -> None:
    log = write_log(tmp_path, 200, gain=gain)
    loose = ["--set", "monitor.thresholds.decision=1.0"]  # the score has the run's own threshold
    call = ["--logged", log, "--reference", str(run), "--out", str(tmp_path / "out"), *loose]
    done = CliRunner().invoke(command, call)
    assert done.exit_code == status, done.output
    numbers = json.loads((tmp_path / "out" / "monitor.json").read_text())
    assert numbers["drift"] is bool(status)
    assert numbers["reference"] == "it"
    assert {row["against"] for row in numbers["measures"]} == {"training", "validation"}
    thresholds = {row["name"]: row["threshold"] for row in numbers["measures"]}
    assert (thresholds["score"], thresholds["decision"]) == (1.0, 1.0)
    assert ("brightness against training" in done.output) is bool(status)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--logged": "gone"}, "gone does not exist"),
        ({"--reference": "."}, "has no run.json"),
        ({}, "50 usable images of 50"),
    ],
)
def test_invalid_input_is_one_line(
    run: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    given = {"--logged": write_log(tmp_path, 50), "--reference": str(run), **change}
    arguments = [part for pair in given.items() for part in pair]
    done = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, PneumoError)
    assert message in str(done.exception)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "no statistics of node StatisticsGen"),
        ([{"name": "StatisticsGen", "outputs": {"statistics": []}}], "no statistics of node"),
        ("{", "run.json is not valid JSON"),
    ],
)
def test_incomplete_reference_is_one_line(tmp_path: Path, nodes: object, message: str) -> None:
    text = nodes if isinstance(nodes, str) else json.dumps({"nodes": nodes})
    (tmp_path / "run.json").write_text(text)
    arguments = ["--logged", write_log(tmp_path, 50), "--reference", str(tmp_path)]
    done = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, PneumoError)
    assert message in str(done.exception)


@pytest.mark.parametrize("copied", ["renamed", "copied", "incomplete", "artifacts missing"])
def test_moved_work_folder(run: Path, tmp_path: Path, copied: str) -> None:
    """A folder that was moved or copied is a reference of its own; an incomplete one is named."""
    original = Path(shutil.copytree(run, tmp_path / "original"))
    text = (run / "run.json").read_text().replace(json.dumps(str(run))[1:-1], str(original))
    (original / "run.json").write_text(text)
    moved = tmp_path / "k=v [b]"
    shutil.copytree(original, moved)
    if copied != "copied":
        shutil.rmtree(original)
    if copied == "incomplete":
        shutil.rmtree(moved / "artifacts/StatisticsGen")
    if copied == "artifacts missing":
        shutil.rmtree(moved / "artifacts")
    arguments = ["--logged", write_log(tmp_path, 200), "--reference", str(moved)]
    arguments += ["--set", "monitor.thresholds.decision=1.0", "--out", str(tmp_path / "out [1]")]
    done = CliRunner().invoke(command, arguments)
    if copied in ("renamed", "copied"):
        assert done.exit_code == 0, done.output
        assert json.loads((tmp_path / "out [1]/monitor.json").read_text())["reference"] == "it"
    else:
        assert isinstance(done.exception, PneumoError)
        message = str(done.exception)
        assert f"reference {moved}: " in message and "is missing" in message
        assert (f"(the run was in {original})" in message) is (copied == "artifacts missing")


def test_logs_of_a_folder_in_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "day/A.JSONL", "notes.txt", "day/._A.jsonl", "__MACOSX/day/A.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / "day/loop").symlink_to(tmp_path)
    assert log_files(tmp_path) == [tmp_path / "b.jsonl", tmp_path / "day/A.JSONL"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(PneumoError, match=r"no \.jsonl log"):
        log_files(tmp_path / "empty")
    (tmp_path / "day/old.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(PneumoError, match=r"old\.jsonl cannot be read: the link points"):
        log_files(tmp_path)
