"""Pusher executor that publishes a version atomically."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact_utils

from schema import storage
from schema.model_folder import GRAPH, next_version, same_files, versions_newest_first


class AtomicPusherExecutor(pusher_executor.Executor):
    """Publishes a version by renaming; TFX's Pusher copies file by file into the watched folder.

    The model is copied to a hidden folder next to the versions, which servers ignore because its
    name is not a number, and renamed at the end. Remains of a killed push are removed first. A
    model that is already the newest version is not pushed again, so a run that was killed after the
    rename but before its record in ML Metadata pushes only once.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if it is blessed; see `tfx.components.pusher.executor.Executor.Do`."""
        base = json.loads(exec_properties["push_destination"])["filesystem"]["base_directory"]
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        remote = storage.is_remote(base)
        staging = tempfile.mkdtemp(prefix="pneumo-") if remote else storage.join(base, ".pushing")
        shutil.rmtree(staging, ignore_errors=True)
        destination = json.dumps({"filesystem": {"base_directory": staging}})
        try:
            super().Do(
                input_dict, output_dict, {**exec_properties, "push_destination": destination}
            )
            if pushed.get_int_custom_property("pushed") != 1:
                return
            staged = Path(pushed.get_string_custom_property("pushed_destination"))
            version = push_to_store(staged, base) if remote else push_to_folder(staged, base)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        pushed.set_string_custom_property("pushed_destination", storage.join(base, version))
        pushed.set_string_custom_property("pushed_version", version)


def push_to_folder(staged: Path, base: str) -> str:
    """Renames a staged model; returns the name of its version."""
    versions = versions_newest_first(base)
    if versions and same_files(Path(base) / versions[0], staged):
        return versions[0]
    version = next_version(versions, int(staged.name))
    staged.rename(Path(base) / version)
    return version


def push_to_store(staged: Path, base: str) -> str:
    """Uploads a staged model to an object store, which has no rename.

    saved_model.pb is written last and removed first; a version without it does not exist. A server
    that polls earlier finds a folder without a model and keeps its current version. Remains of a
    killed push are removed first, so only one pipeline may push to a folder at a time.

    Returns:
      Name of the version.

    Raises:
      PneumoError: the upload failed.
    """
    versions = versions_newest_first(base)
    complete = [name for name in versions if storage.exists(storage.join(base, name, GRAPH))]
    for name in set(versions) - set(complete):
        storage.remove(storage.join(base, name))
    if complete:
        with tempfile.TemporaryDirectory(prefix="pneumo-") as scratch:
            newest = storage.fetch(storage.join(base, complete[0]), Path(scratch) / complete[0])
            if same_files(newest, staged):
                return complete[0]
    version = next_version(versions, int(staged.name))
    storage.put(staged, storage.join(base, version), last=[GRAPH])
    return version
