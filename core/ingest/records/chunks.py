"""First pass: checks the files of the source in chunks."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Final

from core.images.errors import ImageError
from core.images.rules import MAX_DICOM_BYTES
from core.ingest.file_record import FileRecord, encode_record
from core.ingest.options import Secondary
from core.ingest.records.work_folder import FORMAT_VERSION, WorkFolder
from core.ingest.source.dicom import to_stored_image
from schema.files import atomic_file

CHUNK: Final = 64  # files


@dataclass(frozen=True)
class CheckSettings:
    """Everything that the result of a check depends on besides the file.

    Attributes:
      max_pixels: see IngestOptions.
      min_side: see IngestOptions.
      secondary: IngestOptions.dicom_secondary.
      hide_names: replace file names that identify the patient.
      salt_digest: digest of the salt of patient keys, which itself is never written.
    """

    max_pixels: int
    min_side: int
    secondary: Secondary
    hide_names: bool
    salt_digest: str


def write_chunks(
    files: Iterable[FileRecord], work: WorkFolder, settings: CheckSettings
) -> Iterator[str]:
    """Writes the lists of chunks and yields their names, in the order of the files.

    A name is the digest of everything that the result depends on, so an existing result of this
    name can be reused.
    """
    remaining = iter(files)
    while chunk := [file.to_dict() for file in islice(remaining, CHUNK)]:
        job = {"version": FORMAT_VERSION, "settings": asdict(settings), "files": chunk}
        content = json.dumps(job).encode()
        name = hashlib.sha256(content).hexdigest()[:32]
        with atomic_file(work.lists / f"{name}.json") as stream:
            stream.write(content)
        yield name


def read_chunk(work: WorkFolder, name: str) -> tuple[list[FileRecord], CheckSettings]:
    """Reads a list that `write_chunks` wrote."""
    job = json.loads((work.lists / f"{name}.json").read_bytes())
    return [FileRecord(**file) for file in job["files"]], CheckSettings(**job["settings"])


def check_chunk(work: WorkFolder, source: str, name: str, salt: str) -> None:
    """Checks the files of one chunk and writes `checks/NAME.jsonl`."""
    files, settings = read_chunk(work, name)
    with atomic_file(work.checks / f"{name}.jsonl") as stream, work.ticks.open("ab", 0) as ticks:
        for file in files:
            stream.write(encode_record(check_file(file, source, settings, salt)))
            ticks.write(b".")


def check_file(file: FileRecord, source: str, settings: CheckSettings, salt: str) -> FileRecord:
    """Returns the record with the measurements of the image, or with the reason of a reject."""
    # Loads Pillow and numpy, in workers only.
    from core.ingest.source.image_properties import measure_image

    try:
        image = to_stored_image(
            read_unchanged(source, file),
            file.path,
            max_pixels=settings.max_pixels,
            secondary=settings.secondary,
            salt=salt,
        )
        measured = measure_image(image.data, settings.max_pixels, settings.min_side)
        result = replace(file, **vars(measured), dicom=image.dicom, patient_id=image.patient)
        identifies_patient = image.path_identifies_patient
    except ImageError as error:
        result = replace(file, reason=error.reason, detail=error.detail)
        identifies_patient = error.path_identifies_patient
    if identifies_patient and settings.hide_names:
        result = replace(result, filename=pseudonym(file.path, salt))
    return result


def pseudonym(path: str, salt: str) -> str:
    """Returns a name for a file whose own identifies the patient: a digest of salt and path."""
    digest = hashlib.sha256(salt.encode("utf-8", "surrogateescape") + b"\0" + os.fsencode(path))
    return f"dicom-{digest.hexdigest()[:24]}"


def read_unchanged(source: str, file: FileRecord) -> bytes:
    """Returns the bytes of a file that has not changed since it was listed.

    Raises:
      ImageError: it can't be read, is too large, or has changed.
    """
    if file.size > MAX_DICOM_BYTES:
        raise ImageError("too_large", f"{file.size} bytes; at most {MAX_DICOM_BYTES}")
    try:
        with open(f"{source}/{file.path}", "rb") as stream:  # noqa: PTH123, once per image
            data = stream.read(file.size + 1)
            info = os.fstat(stream.fileno())
    except FileNotFoundError:
        raise ImageError("changed_during_run", "it is gone since it was listed") from None
    except OSError as error:
        raise ImageError("unreadable", error.strerror or type(error).__name__) from None
    if (info.st_size, info.st_mtime_ns) != (file.size, file.mtime_ns) or len(data) != file.size:
        raise ImageError("changed_during_run", "it changed since it was listed")
    return data
