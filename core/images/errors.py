"""Error for an image file that cannot be used.

The detail never quotes a DICOM file: the messages of pydicom may contain values of tags.
"""

from typing import NoReturn

from schema.errors import PneumoError


class ImageError(PneumoError):
    """An image file that cannot be used.

    Attributes:
      reason: short code, as in rejects.jsonl.
      detail: one sentence without text of the file.
      path_identifies_patient: whether the path identifies the patient.
    """

    def __init__(self, reason: str, detail: str, path_identifies_patient: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.path_identifies_patient = path_identifies_patient


def reject(reason: str, detail: str) -> NoReturn:
    """Raises an ImageError without the exception that is being handled.

    Raises:
      ImageError: always.
    """
    raise ImageError(reason, detail) from None
