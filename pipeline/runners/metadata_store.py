"""Queries of ML Metadata, and removal of what a killed run left."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ml_metadata as mlmd
    from ml_metadata.proto import metadata_store_pb2


def open_store(file: Path) -> "mlmd.MetadataStore":
    """Opens (or creates) the SQLite store of a work folder."""
    import tfx.v1 as tfx
    from ml_metadata.metadata_store import metadata_store

    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(file))
    return metadata_store.MetadataStore(config)


def execution_outputs(
    store: "mlmd.MetadataStore", execution_id: int
) -> dict[str, list["metadata_store_pb2.Artifact"]]:
    """Returns the output artifacts of an execution by key, cached ones included."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    events = store.get_events_by_execution_ids([execution_id])
    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in events
        if event.type in (pb.Event.OUTPUT, pb.Event.INTERNAL_OUTPUT)
    }
    artifacts: dict[str, list[pb.Artifact]] = {}
    for artifact in store.get_artifacts_by_id(list(keys)) if keys else []:
        artifacts.setdefault(keys[artifact.id], []).append(artifact)
    return artifacts


def repair_store(file: Path, root: Path) -> list[str]:
    """Corrects paths after a move of the work folder and removes leftovers of a killed run.

    Args:
      file: SQLite file of the work folder.
      root: the artifact root.

    Returns:
      what was done, in lines.
    """
    store = open_store(file)
    moved = relocate_artifacts(store, root)
    lines = [f"the work folder was moved: {moved} artifacts have new paths"] if moved else []
    left = remove_leftovers(store, root)
    return lines + [f"removed leftovers of a killed run: {leftover}" for leftover in left]


def relocate_artifacts(store: "mlmd.MetadataStore", root: Path) -> int:
    """Corrects the artifacts of a work folder that was moved or copied, so the cache is right.

    Args:
      store: the metadata of the work folder.
      root: the artifact root; artifacts are in `root/<node>/<output>/<execution id>`.

    Returns:
      number of artifacts that have another path now.
    """
    moved = []
    for artifact in store.get_artifacts():
        path = Path(artifact.uri)
        here = root.joinpath(*path.parts[-3:])
        if path != here and path.parts[-4:-3] == (root.name,) and here.is_dir():
            artifact.uri = str(here)
            moved.append(artifact)
    if moved:
        store.put_artifacts(moved)
    return len(moved)


def remove_leftovers(store: "mlmd.MetadataStore", root: Path) -> list[str]:
    """Removes what a run that was killed left in the store and on disk.

    The caller holds the lock of the work folder, so an execution that is still RUNNING is dead and
    is marked CANCELED. Output folders of unfinished executions are deleted.

    Args:
      store: the metadata of the work folder.
      root: the artifact root; `root/<node>/<output>/<execution id>` and `root/<node>/.system`.

    Returns:
      what was removed, one entry each: "execution N (node)" or a folder.
    """
    from ml_metadata.proto import metadata_store_pb2 as pb

    removed: list[str] = []
    kinds = {kind.id: kind.name for kind in store.get_execution_types()}
    executions = store.get_executions()
    dead = [e for e in executions if e.last_known_state in (pb.Execution.NEW, pb.Execution.RUNNING)]
    for execution in dead:
        execution.last_known_state = pb.Execution.CANCELED
        removed.append(f"execution {execution.id} ({kinds.get(execution.type_id, '?')})")
    if dead:
        store.put_executions(dead)
    live = {
        execution.id
        for execution in executions
        if execution.last_known_state in (pb.Execution.COMPLETE, pb.Execution.CACHED)
    }
    for folder in orphan_folders(root, live):
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(str(folder))
    return removed


def orphan_folders(root: Path, live: Iterable[int]) -> list[Path]:
    """Returns the folders below the artifact root that belong to no finished execution.

    Args:
      root: the artifact root.
      live: ids of finished executions.
    """
    keep = {str(number) for number in live}
    folders = [
        folder
        for pattern in ("*/*/[0-9]*", "*/.system/executor_execution/[0-9]*")
        for folder in root.glob(pattern)
        if folder.is_dir() and folder.name.isdigit() and folder.name not in keep
    ]
    # Scratch folders of nodes; a finished node leaves them empty.
    folders += [
        folder
        for pattern in ("*/.system/stateful_working_dir/*", "*/.system/executor_execution/*/.temp")
        for folder in root.glob(pattern)
        if folder not in folders
    ]
    return sorted(folders)
