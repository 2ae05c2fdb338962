"""Parses DICOM files and rejects those that are not a single gray radiograph.

Only the tags in `_READ_TAGS` are read: those for rendering, the allow-listed ones and those for the
patient key. All others never reach memory.
"""

import io
import logging
import warnings
import zlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.images.dicom.notes import FOR_PROCESSING, NO_PREAMBLE, NO_TRANSFER_SYNTAX, OTHER_BODY_PART
from core.images.dicom.tags import MODALITIES, PHOTOMETRIC, may_be_chest
from core.images.dicom.values import integer, known_term, value
from core.images.errors import reject
from core.images.rules import MAX_DICOM_BYTES, MAX_DICOM_PIXELS, MAX_SIDE
from schema.errors import PneumoError

RADIOGRAPHS: Final = ("CR", "DX", "DR", "RG")
_GRAY: Final = ("MONOCHROME1", "MONOCHROME2")
_NOT_ACQUIRED: Final = frozenset({"OT", "SC", ""})
_SECONDARY: Final = "1.2.840.10008.5.1.4.1.1.7"  # and the multi-frame classes .7.1 to .7.4
_FOR_PROCESSING: Final = "FOR PROCESSING"
# Digital X-Ray, mammography and intra-oral images, each for processing.
_PROCESSING_CLASSES: Final = tuple(f"1.2.840.10008.5.1.4.1.1.1.{n}.1" for n in (1, 2, 3))
# Whether implicit, whether little endian -> UID.
_PLAIN_SYNTAXES: Final = {
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_PREFIX: Final = b"DICM"
_FIRST_GROUPS: Final = (b"\x02\0", b"\x08\0")
_FIRST_VRS: Final = (b"UL", b"OB", b"UI", b"CS", b"SH", b"DA", b"TM", b"LO", b"DT")
_META: Final = b"\x02\0\0\0UL\x04\0"  # tag, type and length of the group length of the meta group
_READ_TAGS: Final = (
    *("SOPClassUID", "Modality", "ViewPosition", "PatientAge", "PatientSex"),
    *("PresentationIntentType", "BodyPartExamined"),
    # For the patient key, and to detect whether the path contains them.
    *("PatientID", "StudyInstanceUID", "PatientName", "PatientBirthDate", "AccessionNumber"),
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence", "RescaleSlope"),
    *("RescaleIntercept", "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
_LOGGERS: Final = ("pydicom", "highdicom", "pylibjpeg", "openjpeg", "libjpeg", "rle", "jpeg_ls")
NEEDS: Final = "DICOM needs pydicom: install the extra with `pip install 'pneumo-tfx[dicom]'`"


@dataclass(frozen=True)
class DicomRules:
    """Which DICOM files are accepted.

    Attributes:
      modalities: accepted modalities. Default: computed and digital radiography (CR, DX, and DR,
        which is common but not in the standard) and digitized film (RG); no fluoroscopy (XA, RF).
      secondary: files of the class Secondary Capture, or with modality OT, SC or none.
        `radiographs` accepts those with an accepted modality, as in the RSNA challenge, whose files
        have modality CR; `accept` accepts all, although they may be screenshots; `refuse` none.
      max_pixels: of an image, before and after resampling to square pixels.
    """

    modalities: tuple[str, ...] = RADIOGRAPHS
    secondary: Literal["radiographs", "accept", "refuse"] = "radiographs"
    max_pixels: int = MAX_DICOM_PIXELS


@dataclass(frozen=True)
class CheckedDicom:
    """A file that passed the checks; its pixels are still encoded.

    Attributes:
      dataset: pydicom data set with the tags in `_READ_TAGS`.
      syntax: UID of the transfer syntax.
      rows: pixels.
      columns: pixels.
      bits_stored: per pixel, 2 to 16.
    """

    dataset: Any
    syntax: str
    rows: int
    columns: int
    bits_stored: int


def is_dicom(head: bytes) -> bool:
    """Returns whether the first 132 bytes of a file are those of a DICOM file.

    Files without the preamble of 128 bytes and the letters DICM, or without the preamble alone,
    start with an element of group 0002 or 0008.
    """
    if head[128:132] == _PREFIX:
        return True
    start = head.removeprefix(_PREFIX)[:8]
    if start[:2] not in _FIRST_GROUPS or len(start) < 8:
        return False
    # Then a known VR follows or, in the implicit syntax, the length of a short value.
    length = int.from_bytes(start[4:8], "little")
    return start[4:6] in _FIRST_VRS or (length % 2 == 0 and 0 < length <= 64 and start[3] < 2)


def require_pydicom() -> None:
    """Checks that pydicom is installed.

    Raises:
      PneumoError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("pydicom") is None:
        raise PneumoError(NEEDS)


def silence_pydicom() -> None:
    """Disables log lines and warnings of pydicom and its plugins, which quote values of files."""
    import pydicom

    # Many files violate rules that do not matter for the image.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # On every call, because other code in the process resets the filters.
    warnings.filterwarnings("ignore", module=rf"({'|'.join(_LOGGERS)})\b")


def parse(content: bytes) -> Any:
    """Parses the tags in `_READ_TAGS`.

    Raises:
      ImageError: the file is not DICOM, or is too large when inflated.
      PneumoError: pydicom is missing.
      Exception: any exception of pydicom for a damaged file.
    """
    require_pydicom()
    import pydicom

    silence_pydicom()
    if not is_dicom(content[:132]):
        reject("not_dicom", "no DICM after the first 128 bytes")
    if _lacks_preamble(content):
        content = content.removeprefix(_PREFIX)
        if content.startswith(_FIRST_GROUPS[0]):
            content = bytes(128) + _PREFIX + content
    if _DEFLATED.encode() in content[:4096]:
        _check_inflated(content)
    return pydicom.dcmread(io.BytesIO(content), specific_tags=list(_READ_TAGS), force=True)


def header_notes(content: bytes, dataset: Any) -> set[str]:
    """Returns the notes on the header of a parsed file."""
    notes = {NO_PREAMBLE} if _lacks_preamble(content) else set()
    if value(dataset.file_meta, "TransferSyntaxUID") is None:
        notes.add(NO_TRANSFER_SYNTAX)
    intent = known_term(dataset, "PresentationIntentType", frozenset({_FOR_PROCESSING}))
    if intent or str(value(dataset, "SOPClassUID") or "") in _PROCESSING_CLASSES:
        notes.add(FOR_PROCESSING)
    if not may_be_chest(dataset):
        notes.add(OTHER_BODY_PART)
    return notes


def _lacks_preamble(content: bytes) -> bool:
    return content[128:132] != _PREFIX


def check(dataset: Any, rules: DicomRules) -> CheckedDicom:
    """Checks a parsed data set.

    Raises:
      ImageError: the file is not a single gray radiograph, or cannot be decoded.
    """
    if "PixelData" not in dataset:
        reject("no_pixels", "it contains no image; it may be a report or a truncated file")
    _check_kind(dataset, rules)
    syntax = _syntax(dataset)
    photometric = known_term(dataset, "PhotometricInterpretation", PHOTOMETRIC)
    if photometric not in _GRAY or integer(dataset, "SamplesPerPixel", 1) != 1:
        found = photometric or "unknown photometric interpretation"
        reject("colour", f"{found}; a radiograph is {' or '.join(_GRAY)}")
    frames = integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        reject("multi_frame", f"{frames} frames; a radiograph has one")
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    check_size(rows, columns, rules.max_pixels)
    return CheckedDicom(dataset, syntax, rows, columns, _bits(dataset))


def check_size(rows: int, columns: int, max_pixels: int) -> None:
    """Rejects an image of invalid or too large size before memory is allocated for it."""
    if min(rows, columns) < 1:
        reject("corrupt", f"{columns}x{rows} pixels")
    if rows * columns > max_pixels or max(rows, columns) > MAX_SIDE:
        reject("too_large", f"{columns}x{rows} pixels; at most {max_pixels}, side {MAX_SIDE}")


def _check_kind(dataset: Any, rules: DicomRules) -> None:
    present = value(dataset, "Modality") is not None
    modality = known_term(dataset, "Modality", MODALITIES) if present else ""
    secondary = str(value(dataset, "SOPClassUID") or "").startswith(_SECONDARY)
    not_acquired = modality in _NOT_ACQUIRED and (bool(modality) or not present)
    if modality in rules.modalities:
        if secondary and rules.secondary == "refuse":
            reject(
                "secondary_capture", "a secondary capture; --dicom-secondary refuse rejects them"
            )
    elif not_acquired:
        if rules.secondary != "accept":
            reject(
                "secondary_capture",
                f"modality {modality or 'missing'}: it may be a screenshot or a scan of paper; "
                "accept it with --dicom-secondary accept",
            )
    else:
        accepted = ", ".join(rules.modalities)
        reject("wrong_modality", f"{modality or 'unknown modality'}; accepted are {accepted}")


def _syntax(dataset: Any) -> str:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    syntax = value(dataset.file_meta, "TransferSyntaxUID")
    if syntax is None:
        syntax = _plain_syntax(dataset)
        dataset.file_meta.TransferSyntaxUID = syntax
    uid = UID(str(syntax))
    name = uid.name
    if name == str(uid):  # not in the dictionary, so that the UID may identify its creator
        reject("transfer_syntax", "unknown transfer syntax")
    try:
        get_decoder(uid)
    except Exception:
        reject("transfer_syntax", f"{name} cannot be decoded")
    return str(uid)


def _plain_syntax(dataset: Any) -> str:
    """Returns the uncompressed transfer syntax in which the elements of a file are encoded."""
    length = integer(dataset, "Rows") * integer(dataset, "Columns")
    length *= integer(dataset, "BitsAllocated") // 8
    syntax = _PLAIN_SYNTAXES.get(dataset.original_encoding)
    if syntax is None or not length <= len(dataset.PixelData) <= length + 1:
        reject("transfer_syntax", "the transfer syntax is missing")
    return syntax


def _bits(dataset: Any) -> int:
    allocated = integer(dataset, "BitsAllocated")
    stored = integer(dataset, "BitsStored", allocated)
    if allocated not in (8, 16):
        reject("bits", f"{allocated} bits allocated per pixel; supported are 8 and 16")
    if not 2 <= stored <= allocated:
        reject("corrupt", f"{stored} of {allocated} bits stored")
    if integer(dataset, "HighBit", stored - 1) != stored - 1:
        reject("bits", "the pixel bits are not the lowest bits of the word")
    if integer(dataset, "PixelRepresentation", 0) not in (0, 1):
        reject("corrupt", "PixelRepresentation is neither 0 nor 1")
    return stored


def _check_inflated(content: bytes) -> None:
    """Rejects a deflated file that would fill the memory, because pydicom inflates it at once."""
    if content[132:140] != _META:
        reject("corrupt", "the header of the deflated file has no length")
    start = 144 + int.from_bytes(content[140:144], "little")
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
            content[start:], MAX_DICOM_BYTES + 1
        )
    except zlib.error:
        reject("corrupt", "its deflated part cannot be inflated")
    if len(inflated) > MAX_DICOM_BYTES:
        reject("too_large", f"more than {MAX_DICOM_BYTES} bytes when inflated")
