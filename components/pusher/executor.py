"""A Pusher whose version folder appears whole or not at all."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact_utils

from components.baseline.versions import newest_first, same_files
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
        destination = json.loads(exec_properties["push_destination"])
        if is_remote(destination["filesystem"]["base_directory"]):
            self._push_to_store(input_dict, output_dict, exec_properties, destination)
            return
        base = Path(destination["filesystem"]["base_directory"])
        staging = base / _STAGING
        shutil.rmtree(staging, ignore_errors=True)
        destination["filesystem"]["base_directory"] = str(staging)
        super().Do(
            input_dict,
            output_dict,
            {**exec_properties, "push_destination": json.dumps(destination)},
        )
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if pushed.get_int_custom_property("pushed") == 1:
            staged = Path(pushed.get_string_custom_property("pushed_destination"))
            versions = newest_first(str(base))
            if versions and same_files(base / versions[0], staged):
                final = base / versions[0]
            else:
                # Above all that exist, so that a server always moves on to it.
                number = max([int(staged.name), *(int(version) + 1 for version in versions)])
                final = base / str(number)
                staged.rename(final)
            pushed.set_string_custom_property("pushed_destination", str(final))
            pushed.set_string_custom_property("pushed_version", final.name)
        shutil.rmtree(staging, ignore_errors=True)

    def _push_to_store(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
        destination: dict[str, Any],
    ) -> None:
        base = destination["filesystem"]["base_directory"]
        with tempfile.TemporaryDirectory(prefix="pneumo-") as staging:
            destination["filesystem"]["base_directory"] = staging
            super().Do(
                input_dict,
                output_dict,
                {**exec_properties, "push_destination": json.dumps(destination)},
            )
            pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
            if pushed.get_int_custom_property("pushed") != 1:
                return
            staged = Path(pushed.get_string_custom_property("pushed_destination"))
            version = stores.push(staged, base, int(staged.name))
        pushed.set_string_custom_property("pushed_destination", join(base, version))
        pushed.set_string_custom_property("pushed_version", version)
