"""SIGKILL in each node in turn, and the same command again."""

from pathlib import Path

import pytest

from pipeline.runners.store import orphans
from tests.support.runs import NODES, execution_states, metrics, pneumo, summary


@pytest.mark.slow
def test_a_run_killed_in_every_node_ends_with_the_same_numbers(
    phantoms: Path, config: Path, tmp_path: Path
) -> None:
    def command(work: Path) -> list[str | Path]:
        return ["run", "--config", config, "--data", phantoms, "--workdir", work]

    pneumo(*command(tmp_path / "whole"))
    seconds = {n["name"]: n["seconds"] for n in summary(tmp_path / "whole")["nodes"]}

    work = tmp_path / "killed"
    for i, node in enumerate(NODES):
        # Long nodes die in the middle, short ones at their start or at their end in turn.
        when = str(seconds[node] / 2) if seconds[node] > 2 else ("start", "end")[i % 2]
        done = pneumo(
            node, when, *command(work), module=("-m", "tests.end_to_end.killer"), check=False
        )
        assert done.returncode == -9, f"{node}: {done.stdout}\n{done.stderr}"
        assert f"{NODES.index(node) + 1:>2}/{len(NODES)} {node} " not in done.stdout
        assert not (work / "run.json").exists()

    done = pneumo(*command(work))
    assert "removed what an earlier, killed run left" in done.stdout

    whole, killed = metrics(tmp_path / "whole"), metrics(work)
    assert killed["metrics"] == whole["metrics"]
    states = execution_states(work)
    assert all(found[-1] in ("COMPLETE", "CACHED") for found in states.values())
    assert "RUNNING" not in {state for found in states.values() for state in found}
    assert orphans(work / "artifacts", _finished(work)) == []
    assert len(list((work / "serving").iterdir())) == 1
    names = {p.name for p in work.iterdir()}
    assert names <= {
        ".lock", "metadata.sqlite", "artifacts", "records", "serving", "run.log", "run.json",
        "checkpoints",
    }  # fmt: skip


def _finished(work: Path) -> list[int]:
    from ml_metadata.proto import metadata_store_pb2 as pb

    from pipeline.runners.store import open_store

    return [
        execution.id
        for execution in open_store(work / "metadata.sqlite").get_executions()
        if execution.last_known_state in (pb.Execution.COMPLETE, pb.Execution.CACHED)
    ]
