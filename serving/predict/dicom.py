"""DICOM files among the images of a request: rendered as `pneumo ingest` renders them."""

from core.images.dicom.read import MAX_BYTES, is_dicom
from core.images.dicom.refusal import Refusal
from schema.errors import PneumoError

__all__ = ["MAX_BYTES", "is_dicom", "to_png"]


def to_png(content: bytes) -> bytes:
    """Renders a DICOM file: gray PNG, of 8 bits where it stores 8 or fewer, else of 16.

    Raises:
      PneumoError: pydicom is missing, or the file is no single gray radiograph that can be shown.
    """
    # Only here: the client of a server does without numpy.
    from core.images.dicom.load import to_png as render

    try:
        return render(content)
    except Refusal as refusal:
        raise PneumoError(f"DICOM {refusal.reason}: {refusal.detail}") from None
