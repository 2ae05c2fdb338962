"""A Pusher whose version folder appears whole or not at all."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact_utils

from schema import storage
from schema.model_folder import next_version, same_files, versions_newest_first

_LAST = "saved_model.pb"


class AtomicPusherExecutor(pusher_executor.Executor):
    """TFX's Pusher copies into the watched folder file by file; this one renames.

    The copy is made in a hidden folder beside the versions (a server looks only at folders whose
    name is a number) and renamed at the end. What a killed push left is removed first. A model that
    is the newest version already is not pushed again: a run that was killed between the rename
    and its record in ML Metadata pushes once.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes if blessed; see `tfx.components.pusher.executor.Executor.Do`."""
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
    """Puts a staged model into an object store, where nothing can be renamed.

    A version exists when its saved_model.pb does: that is written last, and removed first. A server
    that looks earlier finds a folder without a model and keeps the version that it has. What a
    killed push left is removed first: one pipeline at a time pushes to a folder.

    Returns:
      Name of the version.

    Raises:
      PneumoError: the store does not take it.
    """
    versions = versions_newest_first(base)
    whole = [name for name in versions if storage.exists(storage.join(base, name, _LAST))]
    for name in set(versions) - set(whole):
        storage.remove(storage.join(base, name))
    if whole:
        with tempfile.TemporaryDirectory(prefix="pneumo-") as scratch:
            newest = storage.fetch(storage.join(base, whole[0]), Path(scratch) / whole[0])
            if same_files(newest, staged):
                return whole[0]
    version = next_version(versions, int(staged.name))
    storage.put(staged, storage.join(base, version), last=[_LAST])
    return version
