"""An image to send, read lazily."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from serving.predict.input_files import read_file


class Image(NamedTuple):
    """An image to send.

    Attributes:
      name: becomes `file` of the prediction.
      read: returns the bytes of a JPEG or PNG file; OSError and PneumoError reject this image only.
    """

    name: str
    read: Callable[[], bytes]

    @classmethod
    def of_file(cls, path: str | Path) -> "Image":
        """Returns the image of a JPEG, PNG or DICOM file."""
        return cls(str(path), lambda: read_file(Path(path)))
