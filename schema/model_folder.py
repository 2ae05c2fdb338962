"""The folder of a SavedModel of this project, and the version folders that model servers watch."""

import filecmp
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from schema.files import read_json
from schema.storage import list_names

GRAPH: Final = "saved_model.pb"
MODEL_INFO: Final = "assets.extra/pneumo.json"
WARMUP: Final = "assets.extra/tf_serving_warmup_requests"
INFRA_RESULT: Final = "validation.json"  # in the artifact of infrastructure validation


def read_model_info(folder: Path) -> dict[str, Any]:
    """Reads task, operating point and origin of a model from its `pneumo.json`.

    Returns:
      Content of the file; empty where it is missing.
    """
    return read_json(folder / MODEL_INFO) or {}


def comparison_key(facts: str | bytes) -> tuple[str, str] | None:
    """Returns what must be equal for two models to be compared: configuration name and task.

    Args:
      facts: content of `pneumo.json`.

    Returns:
      None where the file is invalid.
    """
    try:
        content: dict[str, Any] = json.loads(facts)
        return str(content["name"]), json.dumps(content["task"], sort_keys=True)
    except (ValueError, KeyError, TypeError):
        return None


def version_number(name: str) -> int | None:
    """Returns the version that a folder name stands for, or None for any other name."""
    return int(name) if name.isascii() and name.isdigit() else None


def versions_newest_first(folder: str | Path) -> list[str]:
    """Returns the version names in a folder or URI, newest first; skips other names."""
    names = (name for name in list_names(str(folder)) if version_number(name) is not None)
    return sorted(names, key=int, reverse=True)


def newest_version(folder: Path) -> Path | None:
    """Returns the folder of the newest version, or None."""
    if not folder.is_dir():
        return None
    versions = (folder / name for name in versions_newest_first(folder))
    return next((version for version in versions if version.is_dir()), None)


def next_version(existing: Sequence[str], at_least: int) -> str:
    """Returns a version name above all existing ones, so that a server switches to it."""
    return str(max([at_least, *(int(name) + 1 for name in existing)]))


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files, others = (
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        for folder in (one, other)
    )
    return files == others and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in files
    )
