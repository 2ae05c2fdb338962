"""Converts DICOM files of a source to lossless PNG with allow-listed tags."""

from dataclasses import dataclass, field
from typing import Any

from core.images.dicom.load import load
from core.images.dicom.read import DicomRules, is_dicom
from core.images.errors import ImageError
from core.ingest.options import PILLOW_LIMIT, Secondary
from schema.errors import PneumoError


@dataclass(frozen=True)
class StoredImage:
    """An image as a record stores it.

    Attributes:
      data: JPEG or PNG; the bytes of the file, or the PNG of a DICOM file.
      dicom: allow-listed tags of a DICOM file, and `notes` if there are any.
      patient: hashed key of a DICOM file, or "".
      path_identifies_patient: whether the path contains identifying values of the DICOM tags.
    """

    data: bytes
    dicom: dict[str, Any] = field(default_factory=dict)
    patient: str = ""
    path_identifies_patient: bool = False


def to_stored_image(
    data: bytes,
    path: str = "",
    *,
    max_pixels: int = PILLOW_LIMIT,
    secondary: Secondary = "accept",
    salt: str = "",
) -> StoredImage:
    """Converts a DICOM file; leaves the bytes of any other file as they are.

    The default limits are the loosest: a file that passed the check also passes when it is written.

    Args:
      data: bytes of a file of any format.
      path: relative to the source.
      max_pixels: limit for DICOM files.
      secondary: see IngestOptions.dicom_secondary.
      salt: of the patient key.

    Raises:
      ImageError: a DICOM file that can't be used.
    """
    if not is_dicom(data[:132]):
        return StoredImage(data)
    try:
        loaded = load(data, DicomRules(secondary=secondary, max_pixels=max_pixels), salt, path)
    except ImageError:
        raise
    except PneumoError as error:  # pydicom is missing
        raise ImageError("missing_plugin", str(error)) from None
    tags = loaded.tags.to_dict() | ({"notes": list(loaded.notes)} if loaded.notes else {})
    return StoredImage(loaded.png, tags, loaded.patient, loaded.path_identifies_patient)
