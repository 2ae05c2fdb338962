"""DICOM files among the images of a source: stored as lossless PNG, with the allow-list of tags."""

from typing import Any

from core.images.dicom.load import load
from core.images.dicom.read import Rules, is_dicom
from core.images.dicom.refusal import Refusal
from core.ingest.options import PILLOW_LIMIT
from schema.errors import PneumoError


def as_image(
    data: bytes, path: str, settings: dict[str, Any], salt: str
) -> tuple[bytes, dict[str, Any]]:
    """What is stored of a file, and what a DICOM file tells besides.

    Args:
      data: of a file of any kind.
      path: below the source.
      settings: `max_pixels` and `secondary` (IngestOptions.dicom_secondary).
      salt: of the patient's key.

    Returns:
      The bytes as they are and {}; or of a DICOM file its PNG and {"dicom", "patient", "named"}.

    Raises:
      Refusal: a DICOM file that can't be used.
    """
    if not is_dicom(data[:132]):
        return data, {}
    rules = Rules(secondary=settings["secondary"], max_pixels=settings["max_pixels"])
    try:
        loaded = load(data, rules, salt, path)
    except Refusal:
        raise
    except PneumoError as error:  # pydicom is missing
        raise Refusal("missing_plugin", str(error)) from None
    facts = {"dicom": loaded.tags.to_dict(), "patient": loaded.patient, "named": loaded.named}
    return loaded.png, facts


def image_again(data: bytes) -> bytes:
    """What is stored of a file that was checked before.

    Raises:
      Refusal: it is another file now.
    """
    settings = {"max_pixels": PILLOW_LIMIT, "secondary": "accept"}
    return as_image(data, "", settings, "")[0]
