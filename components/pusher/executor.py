"""A Pusher whose version folder appears whole or not at all."""

import filecmp
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
            newest = _newest(base)
            if newest is not None and _equal(newest, staged):
                final = newest
            else:
                final = _next_version(base, int(staged.name))
                staged.rename(final)
            pushed.set_string_custom_property("pushed_destination", str(final))
            pushed.set_string_custom_property("pushed_version", final.name)
        shutil.rmtree(staging, ignore_errors=True)


def _versions(base: Path) -> list[int]:
    return [int(p.name) for p in base.iterdir() if p.name.isdigit()]


def _newest(base: Path) -> Path | None:
    versions = _versions(base)
    return base / str(max(versions)) if versions else None


def _next_version(base: Path, wanted: int) -> Path:
    """A version above all that exist, so that a server always moves on to it."""
    return base / str(max([wanted, *(version + 1 for version in _versions(base))]))


def _equal(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files, others = (
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        for folder in (one, other)
    )
    return files == others and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in files
    )
