from pathlib import Path

import pytest

from pipeline.runners.metadata_store import (
    execution_outputs,
    open_store,
    orphan_folders,
    relocate_artifacts,
    remove_leftovers,
)


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "file").write_text("x")


@pytest.mark.parametrize(
    ("folders", "live", "expected"),
    [
        ([], [], []),
        (["Trainer/model/7"], [7], []),
        (
            ["Trainer/model/7", "Trainer/model_run/7"],
            [],
            ["Trainer/model/7", "Trainer/model_run/7"],
        ),
        (["Trainer/model/7", "Trainer/model/8"], [7], ["Trainer/model/8"]),
        (["Trainer/.system/executor_execution/7"], [7], []),
        (
            ["Trainer/.system/executor_execution/7/.temp/7"],
            [7],
            ["Trainer/.system/executor_execution/7/.temp"],
        ),
        (["Trainer/.system/executor_execution/9"], [7], ["Trainer/.system/executor_execution/9"]),
        (
            ["Trainer/.system/stateful_working_dir/2026-01-01"],
            [7],
            ["Trainer/.system/stateful_working_dir/2026-01-01"],
        ),
        (["Trainer/model/notes"], [], []),  # not ours to delete
    ],
)
def test_orphans(tmp_path: Path, folders: list[str], live: list[int], expected: list[str]) -> None:
    make(tmp_path, *folders)
    found = [str(path.relative_to(tmp_path)) for path in orphan_folders(tmp_path, live)]
    assert found == sorted(expected)


def test_a_missing_root_has_no_orphans(tmp_path: Path) -> None:
    assert orphan_folders(tmp_path / "nowhere", []) == []


def test_what_a_killed_run_left_is_removed_and_the_rest_stays(tmp_path: Path) -> None:
    from ml_metadata.proto import metadata_store_pb2 as pb

    store = open_store(tmp_path / "metadata.sqlite")
    kind = store.put_execution_type(pb.ExecutionType(name="Trainer"))
    states = [pb.Execution.COMPLETE, pb.Execution.RUNNING, pb.Execution.FAILED, pb.Execution.CACHED]
    done, running, failed, cached = store.put_executions(
        [pb.Execution(type_id=kind, last_known_state=state) for state in states]
    )
    root = tmp_path / "artifacts"
    make(root, *(f"Trainer/model/{i}" for i in (done, running, failed, cached)))

    removed = remove_leftovers(store, root)

    assert {path.name for path in (root / "Trainer" / "model").iterdir()} == {
        str(done),
        str(cached),
    }
    assert f"execution {running} (Trainer)" in removed
    by_id = {e.id: e.last_known_state for e in store.get_executions()}
    assert by_id == {
        done: pb.Execution.COMPLETE,
        running: pb.Execution.CANCELED,
        failed: pb.Execution.FAILED,
        cached: pb.Execution.CACHED,
    }
    assert remove_leftovers(store, root) == []


def test_outputs_of_an_execution(tmp_path: Path) -> None:
    from ml_metadata.proto import metadata_store_pb2 as pb

    store = open_store(tmp_path / "metadata.sqlite")
    kind = store.put_execution_type(pb.ExecutionType(name="Trainer"))
    model = store.put_artifact_type(pb.ArtifactType(name="Model"))
    (run,) = store.put_executions([pb.Execution(type_id=kind)])
    assert execution_outputs(store, run) == {}
    inside, outside = store.put_artifacts(
        [pb.Artifact(type_id=model, uri=uri) for uri in ("out", "in")]
    )
    for artifact, what in ((inside, pb.Event.OUTPUT), (outside, pb.Event.INPUT)):
        event = pb.Event(artifact_id=artifact, execution_id=run, type=what)
        event.path.steps.add().key = "model"
        event.path.steps.add().index = 0
        store.put_events([event])
    found = execution_outputs(store, run)
    assert {key: [a.uri for a in value] for key, value in found.items()} == {"model": ["out"]}


def test_artifacts_of_a_moved_work_folder(tmp_path: Path) -> None:
    from ml_metadata.proto import metadata_store_pb2 as pb

    store = open_store(tmp_path / "metadata.sqlite")
    kind = store.put_artifact_type(pb.ArtifactType(name="Model"))
    root = tmp_path / "artifacts"
    make(root, "Trainer/model/7", "Trainer/model/8")
    uris = {
        "/old/artifacts/Trainer/model/7": str(root / "Trainer/model/7"),
        str(root / "Trainer/model/8"): str(root / "Trainer/model/8"),
        "/old/artifacts/Trainer/model/9": "/old/artifacts/Trainer/model/9",  # not moved along
        "/data/Trainer/model/7": "/data/Trainer/model/7",  # of no work folder
    }
    store.put_artifacts([pb.Artifact(type_id=kind, uri=uri) for uri in uris])
    assert relocate_artifacts(store, root) == 1
    assert {artifact.uri for artifact in store.get_artifacts()} == {*uris.values()}
    assert relocate_artifacts(store, root) == 0
