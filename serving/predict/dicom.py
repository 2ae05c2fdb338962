"""Renders DICOM files for prediction as `pneumo ingest` renders them."""

from core.images.dicom.read import is_dicom
from core.images.errors import ImageError
from schema.errors import PneumoError

__all__ = ["is_dicom", "to_png"]


def to_png(content: bytes) -> bytes:
    """Renders a DICOM file to a gray PNG of 8 bits, or 16 if it stores more than 8.

    Raises:
      PneumoError: pydicom is missing, or the file is not a single gray radiograph.
    """
    # Imported late, because the client of a server does not need numpy.
    from core.images.dicom.load import to_png as render

    try:
        return render(content)
    except ImageError as error:
        raise PneumoError(f"DICOM {error.reason}: {error.detail}") from None
