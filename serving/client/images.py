"""What is sent: an image with a name, read when its turn comes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from schema.errors import PneumoError

MAX_BYTES = 32 << 20  # the model's own limit; above it nothing is sent


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


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Bytes of a JPEG or PNG file; a DICOM file is rendered to PNG.

    Raises:
      OSError: it cannot be read.
      PneumoError: it is too large, or a DICOM file without a picture to show.
    """
    from serving.dicom import MAX_BYTES as DICOM_LIMIT
    from serving.dicom import is_dicom, to_png

    with path.open("rb") as file:
        head = file.read(132)
        dicom = is_dicom(head)
        limit = DICOM_LIMIT if dicom else limit
        content = head + file.read(limit + 1 - len(head))
    if len(content) > limit:
        raise PneumoError(f"TOO_MANY_BYTES: more than {limit >> 20} MiB")
    return to_png(content) if dicom else content
