"""The whole graph on each local engine; `small_run` is the engine `direct`."""

from pathlib import Path

import pytest

from core.predictions import table
from tests.support.runs.processes import NODES, execution_states, metrics, pneumo, summary


# Worker processes import TFX for each Beam pipeline: minutes of CPU time.
@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        ["--engine", "processes", "--set", "beam.parallelism=1"],
        ["--engine", "portable"],
        ["--beam-arg=--direct_running_mode=multi_processing", "--beam-arg=--direct_num_workers=1"],
    ],
)
def test_a_run_finishes_on_each_local_engine(
    engine: list[str], small_run: Path, phantoms: Path, config: Path, tmp_path: Path
) -> None:
    """Workers determine the order of the training images, so the scores may differ slightly."""
    work = tmp_path / "work"
    pneumo("run", "--config", config, "--data", phantoms, "--workdir", work, *engine)

    states = execution_states(work)
    assert set(states) == set(NODES)
    assert {node: found for node, found in states.items() if found != ["COMPLETE"]} == {}
    assert set(metrics(work)["metrics"]) == set(metrics(small_run)["metrics"])
    for node, key, name in (
        ("Scorer", "predictions", table.FILE),
        ("Trainer", "model_run", "val_predictions.parquet"),
    ):
        ids = [
            sorted(table.read(_output(folder, node, key) / name).to_pydict()["sha256"])
            for folder in (work, small_run)
        ]
        assert ids[0] == ids[1]


def _output(work: Path, node: str, key: str) -> Path:
    outputs = {one["name"]: one["outputs"] for one in summary(work)["nodes"]}
    return Path(outputs[node][key][0])
