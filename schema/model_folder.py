"""Files in an exported SavedModel, and the numbered version folders that a server watches."""

import filecmp
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from schema.files import literal_path, read_json
from schema.storage import list_names

GRAPH: Final = "saved_model.pb"
MODEL_INFO: Final = "assets.extra/pneumo.json"
WARMUP: Final = "assets.extra/tf_serving_warmup_requests"
INFRA_RESULT: Final = "validation.json"  # in the artifact of infrastructure validation


def read_model_info(folder: Path) -> dict[str, Any]:
    """Reads task, operating point and origin of a model from its `pneumo.json`.

    Returns:
      Content of the file; empty if it is missing.
    """
    return read_json(folder / MODEL_INFO) or {}


def load_saved_model(folder: Path) -> Any:
    """Loads a SavedModel. TensorFlow itself fails if its path contains `[`, `*` or `?`."""
    import tensorflow as tf

    with literal_path(folder) as path:
        return tf.saved_model.load(str(path))


def comparison_key(model_info: str | bytes) -> tuple[str, str] | None:
    """Returns configuration name and task; only models with equal keys are compared.

    Args:
      model_info: content of `pneumo.json`.

    Returns:
      (name, task as JSON), or None if the content is invalid.
    """
    try:
        content: dict[str, Any] = json.loads(model_info)
        return str(content["name"]), json.dumps(content["task"], sort_keys=True)
    except (ValueError, KeyError, TypeError):
        return None


def version_number(name: str) -> int | None:
    """Returns the version that a folder name stands for, or None for any other name."""
    return int(name) if name.isascii() and name.isdigit() else None


def versions_newest_first(folder: str | Path) -> list[str]:
    """Returns the version names in a folder or URI, newest first; other names are ignored."""
    names = (name for name in list_names(str(folder)) if version_number(name) is not None)
    return sorted(names, key=int, reverse=True)


def newest_version(folder: Path) -> Path | None:
    """Returns the folder of the newest version, or None if there is none."""
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
