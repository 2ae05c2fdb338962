"""A Pusher whose version folder appears whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact_utils

from components.baseline.versions import newest_first, next_version, same_files
from components.pusher import stores
from schema.storage import is_remote, join

_STAGING = ".pushing"


class AtomicPusherExecutor(pusher_executor.Executor):
    """TFX's Pusher copies into the watched folder file by file; this one renames.

    The copy is made in a hidden folder beside the versions (a server looks only at folders whose
    name is a number) and renamed at the end. What a killed push left is removed first. A model that
    is the newest version already is not pushed again: a run that was killed between the rename
    and its record in ML Metadata pushes once. Into an object store see `components.pusher.stores`.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes if blessed; see `tfx.components.pusher.executor.Executor.Do`."""
        base = json.loads(exec_properties["push_destination"])["filesystem"]["base_directory"]

        def staged_in(folder: str) -> Path | None:
            """Lets TFX copy the model into a folder; None where it is not blessed."""
            destination = {"filesystem": {"base_directory": folder}}
            properties = {**exec_properties, "push_destination": json.dumps(destination)}
            super(AtomicPusherExecutor, self).Do(input_dict, output_dict, properties)
            if pushed.get_int_custom_property("pushed") != 1:
                return None
            return Path(pushed.get_string_custom_property("pushed_destination"))

        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        version = _into_store(base, staged_in) if is_remote(base) else _into_folder(base, staged_in)
        if version:
            pushed.set_string_custom_property("pushed_destination", join(base, version))
            pushed.set_string_custom_property("pushed_version", version)


def _into_folder(base: str, staged_in: Callable[[str], Path | None]) -> str:
    """Name of the version that is there at the end; empty where nothing is to be pushed."""
    staging = Path(base) / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    try:
        if (staged := staged_in(str(staging))) is None:
            return ""
        versions = newest_first(base)
        if versions and same_files(Path(base) / versions[0], staged):
            return versions[0]
        version = next_version(versions, int(staged.name))
        staged.rename(Path(base) / version)
        return version
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _into_store(base: str, staged_in: Callable[[str], Path | None]) -> str:
    """As `_into_folder`."""
    with tempfile.TemporaryDirectory(prefix="pneumo-") as staging:
        staged = staged_in(staging)
        return stores.push(staged, base, int(staged.name)) if staged is not None else ""
