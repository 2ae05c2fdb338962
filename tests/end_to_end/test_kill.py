"""SIGKILL in nodes, and the same command again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.runners.metadata_store import orphan_folders
from tests.support.runs.processes import NODES, execution_states, metrics, pneumo, summary

# Node -> where in it: when its outputs are written and not published, or in its middle.
FEW = (("ImportExampleGen", "end"), ("Trainer", "middle"), ("Pusher", "end"))


def every(whole: Path) -> Iterator[tuple[str, str]]:
    """Long nodes die in the middle, short ones at their start or at their end in turn."""
    for i, node in enumerate(NODES):
        yield node, "middle" if seconds(whole, node) > 2 else ("start", "end")[i % 2]


def seconds(work: Path, node: str) -> float:
    return {n["name"]: n["seconds"] for n in summary(work)["nodes"]}[node]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def test_a_run_killed_in_three_nodes(
    small_run: Path, phantoms: Path, config: Path, work: Path
) -> None:
    kill_and_finish(small_run, FEW, phantoms, config, work)


@pytest.mark.slow  # sixteen starts of a run
def test_a_run_killed_in_every_node(
    small_run: Path, phantoms: Path, config: Path, work: Path
) -> None:
    kill_and_finish(small_run, tuple(every(small_run)), phantoms, config, work)


def kill_and_finish(
    whole: Path, kills: Sequence[tuple[str, str]], phantoms: Path, config: Path, work: Path
) -> None:
    """The last run ends with the numbers of a run that nothing interrupted."""
    command = ["run", "--config", config, "--data", phantoms, "--workdir", work]
    for node, where in kills:
        when = str(seconds(whole, node) / 2) if where == "middle" else where
        done = pneumo(node, when, *command, module="tests.support.runs.killer", check=False)
        assert done.returncode == -9, f"{node}: {done.stdout}\n{done.stderr}"
        assert f"{NODES.index(node) + 1:>2}/{len(NODES)} {node} " not in done.stdout
        assert not (work / "run.json").exists()

    done = pneumo(*command)
    assert "removed leftovers of a killed run" in done.stdout
    assert metrics(work)["metrics"] == metrics(whole)["metrics"]
    states = execution_states(work)
    assert all(found[-1] in ("COMPLETE", "CACHED") for found in states.values())
    assert "RUNNING" not in {state for found in states.values() for state in found}
    assert orphan_folders(work / "artifacts", _finished(work)) == []
    assert len(list((work / "serving").iterdir())) == 1
    names = {p.name for p in work.iterdir()}
    assert names <= {
        ".lock",
        "metadata.sqlite",
        "artifacts",
        "records",
        "serving",
        "run.log",
        "run.json",
        "checkpoints",
    }


def _finished(work: Path) -> list[int]:
    from ml_metadata.proto import metadata_store_pb2 as pb

    from pipeline.runners.metadata_store import open_store

    return [
        execution.id
        for execution in open_store(work / "metadata.sqlite").get_executions()
        if execution.last_known_state in (pb.Execution.COMPLETE, pb.Execution.CACHED)
    ]
