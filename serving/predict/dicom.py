"""DICOM files among the images of a request: rendered as `pneumo ingest` renders them."""

from core.images.dicom.read import is_dicom
from core.images.errors import ImageError
from schema.errors import PneumoError

__all__ = ["is_dicom", "to_png"]


def to_png(content: bytes) -> bytes:
    """Renders a DICOM file: gray PNG, of 8 bits where it stores 8 or fewer, else of 16.

    Raises:
      PneumoError: pydicom is missing, or the file is no single gray radiograph that can be shown.
    """
    # Only here: the client of a server does without numpy.
    from core.images.dicom.load import to_png as render

    try:
        return render(content)
    except ImageError as error:
        raise PneumoError(f"DICOM {error.reason}: {error.detail}") from None
