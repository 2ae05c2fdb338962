"""Files of an Examples artifact."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfx.types import artifact_utils

if TYPE_CHECKING:
    from tfx import types


def split_files(examples: "types.Artifact", split: str) -> list[str]:
    """Returns the sorted paths of the gzip TFRecords of a split."""
    folder = Path(artifact_utils.get_split_uri([examples], split))
    return sorted(str(path) for path in folder.glob("*.gz"))
