"""Renders DICOM files for prediction as `pneumo ingest` renders them."""

import logging
from typing import TYPE_CHECKING, Final

from core.images.dicom.notes import NOTES
from core.images.dicom.read import DicomRules, is_dicom
from core.images.errors import ImageError
from schema.errors import PneumoError

if TYPE_CHECKING:
    from core.images.dicom.load import DicomImage

__all__ = ["is_dicom", "render", "to_png"]

_LOG: Final = logging.getLogger(__name__)


def to_png(content: bytes, name: str = "") -> bytes:
    """Renders a DICOM file to a gray PNG of 8 bits, or 16 if it stores more than 8.

    Logs a warning for each note on the file; see `core.images.dicom.notes`.

    Args:
      content: bytes of the file.
      name: of the file, for the warning.

    Raises:
      PneumoError: pydicom is missing, or the file is not a single gray radiograph.
    """
    rendered = render(content)
    for note in rendered.notes:
        _LOG.warning("%s: %s", name or "DICOM file", NOTES[note])
    return rendered.png


def render(content: bytes) -> "DicomImage":
    """Renders a DICOM file without logging.

    Raises:
      PneumoError: pydicom is missing, or the file is not a single gray radiograph.
    """
    # Imported late, because the client of a server does not need numpy.
    from core.images.dicom.load import load

    try:
        return load(content, DicomRules())
    except ImageError as error:
        raise PneumoError(f"DICOM {error.reason}: {error.detail}") from None
