"""What made a report: the model, its pushed version and the digest of its files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NOTICE: Final = "Research software, not a medical device. Not for diagnosis."
_HOW: Final = {
    "detector": "Regions: boxes of a detector that was trained on boxes",
    "weak": "Regions: boxes around the heat map of a classifier that has seen no boxes",
}


@dataclass(frozen=True)
class Algorithm:
    """Identification of an algorithm (DICOM TID 4019).

    Attributes:
      name: of the model, as served.
      version: as pushed; "0" where it was never.
      digest: SHA-256 over the files of the model, 64 hex digits; "" where a server has them.
      parameters: sentences about what was fixed.
    """

    name: str
    version: str
    digest: str = ""
    parameters: tuple[str, ...] = (NOTICE,)

    @property
    def told_version(self) -> str:
        """Version and digest in one line."""
        return f"{self.version} sha256:{self.digest}" if self.digest else self.version

    @property
    def key(self) -> str:
        """What UIDs of reports depend on."""
        return "/".join((self.name, self.version, self.digest))


def algorithm_of(folder: Path, facts: Mapping[str, Any], name: str) -> Algorithm:
    """The algorithm of a SavedModel.

    Args:
      folder: of the SavedModel; its name is the version if it is a number.
      facts: its pneumo.json.
      name: that it is served under.
    """
    version = folder.resolve().name
    return Algorithm(
        name,
        version if version.isdigit() else "0",
        digest_of(folder),
        parameters_of(facts),
    )


def parameters_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences about what validation fixed, from pneumo.json; the notice first."""
    told = [NOTICE]
    if facts.get("synthetic") in (True, "True", "true", "yes"):
        told.append("Trained on synthetic images: its answers mean nothing for patients")
    if facts.get("threshold") is not None:
        told.append(
            f"Operating point: a probability of {facts['threshold']:.6g} or more is present"
        )
    if facts.get("band"):
        low, high = facts["band"]
        told.append(f"Abstains from {low:.6g} to below {high:.6g}: a person has to read the image")
    boxes = facts.get("boxes")
    how = _HOW.get(str(boxes.get("kind"))) if isinstance(boxes, Mapping) else None
    return (*told, *([how] if how else []))


def digest_of(folder: Path) -> str:
    """SHA-256 over names and bytes of all files below a folder, in order of name."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{inner}\n".encode())
    return whole.hexdigest()


def derived_uid(*parts: str) -> str:
    """A UID below 2.25 (DICOM PS3.5 B.2) that depends on the parts only."""
    digest = hashlib.sha256("\0".join(("pneumo report", *parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
