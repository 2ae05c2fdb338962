"""A Pusher whose version folder appears whole or not at all."""

import json
import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as pusher_executor
from tfx.types import artifact_utils

_STAGING = ".pushing"


class AtomicPusherExecutor(pusher_executor.Executor):
    """TFX's Pusher copies into the watched folder file by file; this one renames.

    The copy is made in a hidden folder beside the versions (a server looks only at folders whose
    name is a number) and renamed at the end. What a killed push left is removed first.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes if blessed; see `tfx.components.pusher.executor.Executor.Do`."""
        destination = json.loads(exec_properties["push_destination"])
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
            final = _next_version(base, int(staged.name))
            staged.rename(final)
            pushed.set_string_custom_property("pushed_destination", str(final))
            pushed.set_string_custom_property("pushed_version", final.name)
        shutil.rmtree(staging, ignore_errors=True)


def _next_version(base: Path, wanted: int) -> Path:
    """A version above all that exist, so that a server always moves on to it."""
    taken = [int(p.name) for p in base.iterdir() if p.name.isdigit()]
    return base / str(max([wanted, *(version + 1 for version in taken)]))
