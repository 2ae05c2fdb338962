"""What is sent: an image with a name, read when its turn comes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from serving.predict.input_files import read_file


class Image(NamedTuple):
    """An image to be asked about.

    Attributes:
      name: what the answer is to be called.
      read: gives the bytes of a JPEG or PNG file; OSError and PneumoError fail this image alone.
    """

    name: str
    read: Callable[[], bytes]

    @classmethod
    def of_file(cls, path: Path) -> "Image":
        """A JPEG, PNG or DICOM file."""
        return cls(str(path), lambda: read_file(path))
