"""What ingest knows of one file of the source, from the listing to the manifest."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from schema.files import json_line, read_lines

Box = Sequence[float]  # ymin, xmin, ymax, xmax, relative to the image


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of the source. Each step of ingest fills in more fields.

    Attributes:
      path: relative to the source, "/" between the parts; surrogates stand for bytes that are not
        UTF-8.
      size: bytes.
      mtime_ns: time of the last change, nanoseconds.
      filename: name in every output: the printable path, or a pseudonym where the path identifies
        the patient. A check sets it only for a pseudonym.
      sha256: hex digest of the stored image.
      pixel_hash: hex digest of the displayed 8-bit gray pixels and their size, 32 digits.
      perceptual_hash: hex, 64 digits.
      pathogen: one of schema.labels.PATHOGENS.
      patient_id: key that splits keep together.
      patient_known: whether the key is that of a patient, not of a study or of the image.
      source: batch, from the file name and, for DICOM, the view.
      boxes: of opacities.
      format: jpeg or png.
      height: pixels, as displayed.
      width: pixels, as displayed.
      bytes: size of the stored image.
      stats: name of a feature -> value; see schema/features.py.
      dicom: allow-listed tags of a DICOM file.
      split: train, val or test.
      shard: name of the TFRecord file.
      index: position in the shard.
      reason: code of the reason why the file is rejected; "" for a usable file.
      detail: a sentence about it.
    """

    path: str
    size: int
    mtime_ns: int
    filename: str = ""
    sha256: str = ""
    pixel_hash: str = ""
    perceptual_hash: str = ""
    pathogen: str = ""
    patient_id: str = ""
    patient_known: bool = False
    source: str = ""
    boxes: Sequence[Box] = ()
    format: str = ""
    height: int = 0
    width: int = 0
    bytes: int = 0
    stats: dict[str, float] = field(default_factory=dict)
    dicom: dict[str, Any] = field(default_factory=dict)
    split: str = ""
    shard: str = ""
    index: int | None = None
    reason: str = ""
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that are set."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: value for name, value in values if value != getattr(_EMPTY, name)}

    def manifest_row(self) -> dict[str, Any]:
        """Returns the row of `manifest.jsonl`; `boxes` is their number, `dicom` may be missing."""
        row = {name: getattr(self, name) for name in _MANIFEST} | {"boxes": len(self.boxes)}
        return row if self.dicom else {name: row[name] for name in row if name != "dicom"}


_EMPTY = FileRecord(path="", size=-1, mtime_ns=-1)
_MANIFEST = (
    *("filename", "sha256", "pixel_hash", "perceptual_hash", "pathogen", "patient_id"),
    *(
        "patient_known",
        "source",
        "boxes",
        "format",
        "height",
        "width",
        "bytes",
        "stats",
        "dicom",
        "split",
        "shard",
        "index",
    ),
)


def encode_record(record: FileRecord) -> bytes:
    """Returns one line of JSON without the fields that are not set."""
    return json_line(record.to_dict())


def decode_record(line: bytes) -> FileRecord:
    """Parses the output of `encode_record`."""
    return FileRecord(**json.loads(line))


def read_records(path: Path) -> Iterator[FileRecord]:
    """Yields the records of a JSONL file."""
    return (FileRecord(**row) for row in read_lines(path))
