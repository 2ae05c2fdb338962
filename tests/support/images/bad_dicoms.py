"""DICOM files that are rejected: damaged, or not a single gray radiograph."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.images.dicoms import SYNTAXES, make_dataset, to_bytes

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")

PIXELS = (np.add.outer(np.arange(40), np.arange(32)) * 3).astype(np.uint8)


COLOR = np.dstack([PIXELS] * 3)


UIDS = {syntax.name: syntax.uid for syntax in SYNTAXES}


def with_syntax(uid: str) -> bytes:
    """Returns a file whose header has another transfer syntax."""
    content = to_bytes(make_dataset(PIXELS), UIDS["rle"])
    old = UIDS["rle"].encode()
    at = content.index(old)
    length = len(uid) + len(uid) % 2
    padded = uid.encode().ljust(length, b"\0")
    was = len(old) + len(old) % 2
    group = int.from_bytes(content[140:144], "little") + length - was
    head = content[:140] + group.to_bytes(4, "little") + content[144 : at - 2]
    return head + length.to_bytes(2, "little") + padded + content[at + was :]


def broken(keyword: str, raw: bytes) -> bytes:
    """Returns a file with an invalid value under a keyword."""
    from pydicom.tag import Tag

    dataset = make_dataset(PIXELS)
    vr = pydicom.datadict.dictionary_VR(keyword)
    if keyword in dataset:
        delattr(dataset, keyword)
    content = to_bytes(dataset)
    tag = Tag(keyword)
    element = tag.group.to_bytes(2, "little") + tag.elem.to_bytes(2, "little") + vr.encode()
    element += len(raw).to_bytes(2, "little") + raw
    at = element_offset(content, tag)
    return content[:at] + element + content[at:]


def element_offset(content: bytes, tag: int) -> int:
    """Returns the offset for a new element in a file of explicit VR little endian."""

    def stop(current: Any, vr: Any, length: int) -> bool:
        return int(current) > tag

    stream = io.BytesIO(content)
    pydicom.filereader.read_partial(stream, stop_when=stop)
    return len(content) - len(stream.read())


def cut(content: bytes, n: int) -> bytes:
    return content[:-n]


def jpeg_of_another_size() -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(to_bytes(make_dataset(PIXELS), UIDS["jpegls_lossless"])))
    dataset.Rows = 39
    return to_bytes_as_is(dataset)


def jpeg_without_end() -> bytes:
    from pydicom.encaps import encapsulate, generate_frames

    dataset = pydicom.dcmread(io.BytesIO(to_bytes(make_dataset(PIXELS), UIDS["jpeg2000_lossless"])))
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[:200]])
    return to_bytes_as_is(dataset)


def to_bytes_as_is(dataset: Any) -> bytes:
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset)
    return out.getvalue()


def bomb() -> bytes:
    """Returns a small deflated file that is too large when inflated."""
    import zlib

    content = to_bytes(make_dataset(PIXELS), UIDS["deflated"])
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    body = b"".join(packer.compress(piece) for _ in range(300)) + packer.flush()
    return content[:start] + body


Make = Callable[[], bytes]


REJECTED: dict[str, tuple[Make, str, str]] = {
    "not dicom": (lambda: b"Quillfeather" * 30, "not_dicom", "no DICM"),
    "empty": (lambda: b"", "not_dicom", "no DICM"),
    "header alone": (lambda: bytes(128) + b"DICM", "", ""),
    "report": (lambda: to_bytes(make_dataset(None, modality="SR")), "no_pixels", "report"),
    "no pixels": (lambda: to_bytes(make_dataset(None)), "no_pixels", "no image"),
    "frames": (
        lambda: to_bytes(make_dataset(PIXELS, NumberOfFrames=30)),
        "multi_frame",
        "30 frames",
    ),
    "cine": (lambda: to_bytes(make_dataset(np.stack([PIXELS] * 2))), "multi_frame", "2 frames"),
    "colour": (lambda: to_bytes(make_dataset(COLOR)), "colour", "RGB"),
    "palette": (
        lambda: to_bytes(make_dataset(PIXELS, PhotometricInterpretation="PALETTE COLOR")),
        "colour",
        "PALETTE COLOR",
    ),
    "name as photometric": (
        lambda: to_bytes(make_dataset(PIXELS, PhotometricInterpretation="QUILLFEATHER")),
        "colour",
        "unknown photometric",
    ),
    "ct": (lambda: to_bytes(make_dataset(PIXELS, modality="CT")), "wrong_modality", "CT"),
    "fluoroscopy": (lambda: to_bytes(make_dataset(PIXELS, modality="RF")), "wrong_modality", "RF"),
    "angiography": (lambda: to_bytes(make_dataset(PIXELS, modality="XA")), "wrong_modality", "XA"),
    "ultrasound": (lambda: to_bytes(make_dataset(PIXELS, modality="US")), "wrong_modality", "US"),
    "name as modality": (
        lambda: to_bytes(make_dataset(PIXELS, modality="QUILLFEATHER")),
        "wrong_modality",
        "unknown modality",
    ),
    "screen shot": (
        lambda: to_bytes(make_dataset(PIXELS, modality="OT")),
        "secondary_capture",
        "OT",
    ),
    "no modality": (
        lambda: to_bytes(make_dataset(PIXELS, Modality=None)),
        "secondary_capture",
        "modality missing",
    ),
    "no syntax": (
        lambda: with_syntax("1.2.826.0.1.3680043.8.498.77120011"),
        "transfer_syntax",
        "unknown transfer syntax",
    ),
    "video": (lambda: with_syntax("1.2.840.10008.1.2.4.102"), "transfer_syntax", "MPEG-4"),
    "huge": (
        lambda: to_bytes(make_dataset(PIXELS, Rows=65535, Columns=65535)),
        "too_large",
        "65535x65535",
    ),
    "no rows": (lambda: to_bytes(make_dataset(PIXELS, Rows=None)), "corrupt", "Rows is missing"),
    "zero rows": (lambda: to_bytes(make_dataset(PIXELS, Rows=0)), "corrupt", "32x0"),
    "one bit": (lambda: to_bytes(make_dataset(PIXELS, BitsAllocated=1)), "bits", "1 bits"),
    "32 bits": (lambda: to_bytes(make_dataset(PIXELS, BitsAllocated=32)), "bits", "32 bits"),
    "too many bits": (
        lambda: to_bytes(make_dataset(PIXELS, BitsStored=12)),
        "corrupt",
        "12 of 8 bits",
    ),
    "high bits": (
        lambda: to_bytes(make_dataset(PIXELS.astype(np.uint16), bits_stored=12, HighBit=15)),
        "bits",
        "not the lowest",
    ),
    "short": (
        lambda: to_bytes(make_dataset(PIXELS, PixelData=b"\0\0")),
        "truncated",
        "2 of 1280 bytes",
    ),
    "cut": (lambda: cut(to_bytes(make_dataset(PIXELS)), 100), "", ""),
    "cut jpeg": (
        lambda: cut(to_bytes(make_dataset(PIXELS), UIDS["jpeg_baseline"]), 60),
        "no_pixels",
        "truncated",
    ),
    "not that of its header": (jpeg_of_another_size, "corrupt", "not that of its header"),
    "no end": (jpeg_without_end, "truncated", "the end"),
    "rle as jpeg": (lambda: with_syntax(UIDS["jpeg2000"]), "", ""),
    "bomb": (bomb, "too_large", "when inflated"),
    "long pixels": (
        lambda: to_bytes(make_dataset(PIXELS, PixelSpacing=[9.0, 0.1])),
        "wrong_spacing",
        "90 times",
    ),
    "name as rows": (lambda: broken("NumberOfFrames", b"Quillfeather"), "corrupt", "NumberOf"),
    "name as slope": (lambda: broken("RescaleSlope", b"PID-77314-QX"), "corrupt", "RescaleSlope"),
    "name as number": (lambda: broken("Rows", b"Vandersloot_"), "corrupt", "Rows"),
}


# Invalid values that pydicom quotes in its errors and warnings.
BROKEN = {
    "PatientAge": b"Quillfeather",
    "PixelSpacing": b"Ottoline\\PID-77314-QX ",
    "WindowWidth": b"Ravensholt",
    "RescaleIntercept": b"ACC-60917-ZK",
    "NumberOfFrames": b"Vandersloot_",
    "PatientID": b"PID-77314-QX\xff\xfe",
    "ViewPosition": b"Mallowtree",
    "SpecificCharacterSet": b"ISO_IR Quillfeather ",
    "BitsStored": b"Brackwater",
    "PixelAspectRatio": b"Thistledown\\Lane",
    "PatientName": b"Quillfeather^\xff\xfe\x80",
}
