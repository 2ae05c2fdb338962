"""Why an image file is not used. Every line about a DICOM file is this project's own.

The texts of pydicom's errors and warnings may hold the values of tags, so none is ever passed on.
"""

from typing import NoReturn

from schema.errors import PneumoError


class Refusal(PneumoError):
    """A file that can't be used.

    Attributes:
      reason: short code, as rejects.jsonl has it.
      detail: a sentence; of a DICOM file without any text of the file.
      named: whether the path identifies the patient.
    """

    def __init__(self, reason: str, detail: str, named: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.named = named


def refuse(reason: str, detail: str) -> NoReturn:
    """Raises a Refusal that carries no other error with it."""
    raise Refusal(reason, detail) from None
