"""Marker file in the artifact of a Baseline node: whether it holds a model to beat."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from schema.files import read_json

if TYPE_CHECKING:
    from tfx import types

Source = Literal["metadata", "pushed"]
NODE_ID: Final = "latest_blessed_model"
FOUND: Final = "found.json"


def has_model(artifacts: "Sequence[types.Artifact] | None") -> bool:
    """Returns whether an input `baseline_model` holds a model; a Baseline's output may be empty."""
    if not artifacts:
        return False
    folder = Path(artifacts[0].uri)
    marker = read_json(folder / FOUND)
    if marker is not None:
        return bool(marker["found"])
    return not folder.is_dir() or any(folder.iterdir())
