"""Why a DICOM file is not used. Every line is this project's own.

The texts of pydicom's errors and warnings may hold the values of tags, so none is ever passed on.
"""

from typing import NoReturn

from schema.errors import PneumoError


class DicomRefusal(PneumoError):
    """A DICOM file that can't be used.

    Attributes:
      reason: short code.
      detail: a sentence without any text of the file.
      named: whether the file's path tells what its tags tell of the patient; None where the tags
        could not be read.
    """

    def __init__(self, reason: str, detail: str, named: bool | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.named = named


def refuse(reason: str, detail: str) -> NoReturn:
    """Raises a DicomRefusal that carries no other error with it."""
    raise DicomRefusal(reason, detail) from None
