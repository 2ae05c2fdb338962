"""Marker file of the optional baseline model, which Gate and Scorer read."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from schema.files import read_json

if TYPE_CHECKING:
    from tfx import types

BaselineSource = Literal["metadata", "pushed"]
NODE_ID: Final = "latest_blessed_model"
FOUND: Final = "found.json"


def has_model(artifact: "types.Artifact | None") -> bool:
    """Returns whether an optional input `baseline_model` contains a model."""
    if artifact is None:
        return False
    folder = Path(artifact.uri)
    marker = read_json(folder / FOUND)
    if marker is not None:
        return bool(marker["found"])
    return not folder.is_dir() or any(folder.iterdir())
