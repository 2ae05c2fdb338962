"""Why a file is not used."""

from typing import Final

MAX_BYTES: Final = 256 << 20  # a record of protobuf has to stay below 2 GiB; no radiograph is near


class Refusal(Exception):
    """A file that can't be used.

    Attributes:
      reason: short code, as rejects.jsonl has it.
      detail: a sentence.
      named: whether the path identifies the patient.
    """

    def __init__(self, reason: str, detail: str, named: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.named = named
