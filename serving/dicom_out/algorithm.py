"""Identification of the model in a report: name, pushed version and digest of its files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schema.files import sha256_of_file
from serving import NOTICE

_NOTICE: Final = f"{NOTICE} Not for diagnosis."
_REGIONS: Final = {
    "detector": "Regions: boxes of a detector trained on boxes",
    "weak": "Regions: boxes around the heat map of a classifier trained without boxes",
}


@dataclass(frozen=True)
class Algorithm:
    """Identification of an algorithm (DICOM TID 4019).

    Attributes:
      name: name of the served model.
      version: pushed version; "0" if the model was not pushed.
      digest: SHA-256 of the files of the model, 64 hex digits; "" for the model of a server.
      parameters: sentences about the operating point and the regions.
    """

    name: str
    version: str
    digest: str = ""
    parameters: tuple[str, ...] = (_NOTICE,)

    @property
    def version_and_digest(self) -> str:
        """Version and digest in one text."""
        return f"{self.version} sha256:{self.digest}" if self.digest else self.version

    @property
    def key(self) -> str:
        """Text from which the UIDs of reports are derived."""
        return "/".join((self.name, self.version, self.digest))


def identify_algorithm(folder: Path, info: Mapping[str, Any], name: str) -> Algorithm:
    """Returns the identification of a SavedModel.

    Args:
      folder: of the SavedModel; its name is the version if it is a number.
      info: content of pneumo.json.
      name: name of the served model.
    """
    version = folder.resolve().name
    return Algorithm(
        name,
        version if version.isdigit() else "0",
        folder_digest(folder),
        describe_parameters(info),
    )


def describe_parameters(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Describes operating point, referral band and regions in sentences, after the notice."""
    sentences = [_NOTICE]
    if info.get("synthetic") in (True, "True", "true", "yes"):
        sentences.append(
            "Trained on synthetic images: its predictions have no meaning for patients"
        )
    if info.get("threshold") is not None:
        sentences.append(
            f"Operating point: the finding is present from a probability of {info['threshold']:.6g}"
        )
    if info.get("band"):
        low, high = info["band"]
        sentences.append(
            f"Refers scores from {low:.6g} to below {high:.6g}: a person must read the image"
        )
    boxes = info.get("boxes")
    regions = _REGIONS.get(str(boxes.get("kind"))) if isinstance(boxes, Mapping) else None
    return (*sentences, *([regions] if regions else []))


def folder_digest(folder: Path) -> str:
    """Returns the SHA-256 of names and contents of all files below a folder, by name."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        whole.update(f"{name}\0{sha256_of_file(path)}\n".encode())
    return whole.hexdigest()


def derived_uid(*parts: str) -> str:
    """Returns a UID below 2.25 (DICOM PS3.5 B.2) derived from the parts."""
    digest = hashlib.sha256("\0".join(("pneumo report", *parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
