"""Opens a DICOM file and refuses what is no single gray radiograph.

Only the tags that the picture needs, those of the allow-list and those that a patient's key is made
of are read at all (`_WANTED`); all others never become part of the data set in memory.
"""

import io
import logging
import warnings
import zlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.images.dicom.tags import MODALITIES, PHOTOMETRIC
from core.images.dicom.values import integer, value, word
from core.images.errors import reject
from core.images.rules import MAX_DICOM_BYTES, MAX_DICOM_PIXELS, MAX_SIDE
from schema.errors import PneumoError

RADIOGRAPHS: Final = ("CR", "DX", "DR", "RG")
_SHOWN: Final = ("MONOCHROME1", "MONOCHROME2")
_MADE_ELSEWHERE: Final = frozenset({"OT", "SC", ""})
_SECONDARY: Final = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kin, .7.1 to .7.4
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_META: Final = b"\x02\0\0\0UL\x04\0"  # tag, kind and length of the length of the meta group
_WANTED: Final = (
    *("SOPClassUID", "Modality", "ViewPosition", "PatientAge", "PatientSex"),
    # For the key of the patient, and to see whether the path tells them.
    *("PatientID", "StudyInstanceUID", "PatientName", "PatientBirthDate", "AccessionNumber"),
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "VOILUTSequence", "ModalityLUTSequence", "RescaleSlope"),
    *("RescaleIntercept", "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
_LOUD: Final = ("pydicom", "highdicom", "pylibjpeg", "openjpeg", "libjpeg", "rle", "jpeg_ls")
NEEDS: Final = "DICOM needs pydicom: install the extra with `pip install 'pneumo-tfx[dicom]'`"


@dataclass(frozen=True)
class Rules:
    """Which files are taken.

    Attributes:
      modalities: of DICOM. By default computed and digital radiography (CR, DX; DR is written by
        some though no term of the standard) and digitised film (RG). Not XA, RF: fluoroscopy.
      secondary: files of the class Secondary Capture, or of modality OT, SC or none.
        `radiographs`: taken where the modality says radiograph, as in the RSNA challenge, whose
        files are such with modality CR; `accept`: all, though they may be screen shots; `refuse`:
        none.
      max_pixels: of an image, before and after its pixels are made square.
    """

    modalities: tuple[str, ...] = RADIOGRAPHS
    secondary: Literal["radiographs", "accept", "refuse"] = "radiographs"
    max_pixels: int = MAX_DICOM_PIXELS


@dataclass(frozen=True)
class Opened:
    """A file that passed the checks; its pixels are still encoded.

    Attributes:
      dataset: of pydicom, with the wanted tags alone.
      syntax: UID of the transfer syntax.
      rows: pixels.
      columns: pixels.
      bits_stored: of a pixel, 2 to 16.
    """

    dataset: Any
    syntax: str
    rows: int
    columns: int
    bits_stored: int


def is_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of a DICOM file."""
    return head[128:132] == b"DICM"


def needs_pydicom() -> None:
    """Says how to get pydicom where it is missing.

    Raises:
      PneumoError: it is.
    """
    from importlib.util import find_spec

    if find_spec("pydicom") is None:
        raise PneumoError(NEEDS)


def quiet() -> None:
    """Keeps pydicom and its plugins from telling, on a log or as a warning, what a file holds."""
    import pydicom

    # Files of the wild break rules that do not touch the picture.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Again each time: filters are the process's, and others set them anew.
    warnings.filterwarnings("ignore", module=rf"({'|'.join(_LOUD)})\b")


def parse(content: bytes) -> Any:
    """Data set of the wanted tags.

    Raises:
      ImageError: it is no DICOM file, or inflates to too much.
      PneumoError: pydicom is missing.
      Exception: whatever pydicom raises on a damaged file.
    """
    needs_pydicom()
    import pydicom

    quiet()
    if not is_dicom(content[:132]):
        reject("not_dicom", "no DICM after the first 128 bytes")
    if _DEFLATED.encode() in content[:4096]:
        _check_inflated(content)
    return pydicom.dcmread(io.BytesIO(content), specific_tags=list(_WANTED))


def check(dataset: Any, rules: Rules) -> Opened:
    """Checks what `parse` read.

    Raises:
      ImageError: it is no single gray radiograph, or one that can't be decoded.
    """
    if "PixelData" not in dataset:
        reject("no_pixels", "no image in it, as in a report or in a file that was cut")
    _check_kind(dataset, rules)
    syntax = _syntax(dataset)
    photometric = word(dataset, "PhotometricInterpretation", PHOTOMETRIC)
    if photometric not in _SHOWN or integer(dataset, "SamplesPerPixel", 1) != 1:
        what = photometric or "pixels of no known interpretation"
        reject("colour", f"{what}; a radiograph is {' or '.join(_SHOWN)}")
    frames = integer(dataset, "NumberOfFrames", 1)
    if frames > 1:
        reject("multi_frame", f"{frames} frames; a radiograph has one")
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    check_size(rows, columns, rules.max_pixels)
    return Opened(dataset, syntax, rows, columns, _bits(dataset))


def check_size(rows: int, columns: int, max_pixels: int) -> None:
    """Refuses what is larger than the rules allow, before memory is taken for it."""
    if min(rows, columns) < 1:
        reject("corrupt", f"{columns}x{rows} pixels")
    if rows * columns > max_pixels or max(rows, columns) > MAX_SIDE:
        reject("too_large", f"{columns}x{rows} pixels; at most {max_pixels}, side {MAX_SIDE}")


def _check_kind(dataset: Any, rules: Rules) -> None:
    stored = "" if value(dataset, "Modality") is None else word(dataset, "Modality", MODALITIES)
    told = value(dataset, "Modality") is not None
    secondary = str(value(dataset, "SOPClassUID") or "").startswith(_SECONDARY)
    made_elsewhere = stored in _MADE_ELSEWHERE and (bool(stored) or not told)
    if stored in rules.modalities:
        if secondary and rules.secondary == "refuse":
            reject("secondary_capture", "a secondary capture, and the option refuses them")
    elif made_elsewhere:
        if rules.secondary != "accept":
            reject(
                "secondary_capture",
                f"modality {stored or 'not told'}: it may be a screen shot or a scan of paper; "
                "--dicom-secondary accept takes it",
            )
    else:
        wanted = ", ".join(rules.modalities)
        reject("wrong_modality", f"{stored or 'no known modality'}; radiographs are {wanted}")


def _syntax(dataset: Any) -> str:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    told = value(dataset.file_meta, "TransferSyntaxUID")
    if told is None:
        reject("transfer_syntax", "no transfer syntax is named")
    uid = UID(str(told))
    name = uid.name
    if name == str(uid):  # no entry of the dictionary: it may tell who made it
        reject("transfer_syntax", "a transfer syntax that is not known")
    try:
        get_decoder(uid)
    except Exception:
        reject("transfer_syntax", f"{name}; it can't be decoded")
    return str(uid)


def _bits(dataset: Any) -> int:
    allocated = integer(dataset, "BitsAllocated")
    stored = integer(dataset, "BitsStored", allocated)
    if allocated not in (8, 16):
        reject("bits", f"{allocated} bits allocated for a pixel; 8 or 16 can be shown")
    if not 2 <= stored <= allocated:
        reject("corrupt", f"{stored} bits stored of {allocated}")
    if integer(dataset, "HighBit", stored - 1) != stored - 1:
        reject("bits", "the bits of a pixel are not the lowest of its word")
    if integer(dataset, "PixelRepresentation", 0) not in (0, 1):
        reject("corrupt", "PixelRepresentation is neither 0 nor 1")
    return stored


def _check_inflated(content: bytes) -> None:
    """Refuses a deflated file that would fill the memory: pydicom inflates it in one go."""
    if content[132:140] != _META:
        reject("corrupt", "a deflated file whose header has no length")
    start = 144 + int.from_bytes(content[140:144], "little")
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
            content[start:], MAX_DICOM_BYTES + 1
        )
    except zlib.error:
        reject("corrupt", "its deflated part can't be inflated")
    if len(inflated) > MAX_DICOM_BYTES:
        reject("too_large", f"more than {MAX_DICOM_BYTES} bytes when inflated")
