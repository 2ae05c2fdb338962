"""Names image formats that are not supported, by their first bytes, and how to convert them.

`formats_tf` does the same in the SavedModel, with the table of this module. Standard library only.
"""

from typing import Final

from core.images.rules import JPEG_SIGNATURE, PNG_SIGNATURE

_CONVERT: Final = "convert it to PNG or JPEG, for example with `magick FILE FILE.png`"
_EXPORT: Final = "export the image as PNG or JPEG"

HEAD: Final = 352  # bytes with the signature of every format
Parts = tuple[tuple[int, bytes], ...]


def _brands(*names: str) -> tuple[Parts, ...]:
    """Returns the signatures of ISO media files of these brands (ISO/IEC 14496-12, 4.3)."""
    return tuple(((4, b"ftyp"), (8, name.encode())) for name in names)


_SIGNATURES: Final[tuple[tuple[str, str, tuple[Parts, ...]], ...]] = (
    ("GIF", _CONVERT, (((0, b"GIF8"),),)),
    ("BMP", _CONVERT, (((0, b"BM"),),)),
    ("TIFF", _CONVERT, tuple(((0, magic),) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))),
    ("WebP", _CONVERT, (((0, b"RIFF"), (8, b"WEBP")),)),
    ("JPEG 2000", _CONVERT, (((0, b"\0\0\0\x0cjP"),), ((0, b"\xff\x4f\xff\x51"),))),
    ("JPEG XL", _CONVERT, (((0, b"\0\0\0\x0cJXL "),), ((0, b"\xff\x0a"),))),
    ("JPEG XR", _CONVERT, (((0, b"II\xbc"),),)),
    ("HEIC", _CONVERT, _brands("heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs")),
    ("AVIF", _CONVERT, _brands("avif", "avis")),
    ("HEIF", _CONVERT, _brands("mif1", "msf1", "mif2", "miaf")),
    ("video", _EXPORT, (((4, b"ftyp"),),)),
    ("PDF", "extract the image with `pdfimages -png FILE IMAGE`", (((0, b"%PDF-"),),)),
    ("Photoshop file", _CONVERT, (((0, b"8BPS"),),)),
    ("OpenEXR", _CONVERT, (((0, b"v/1\x01"),),)),
    (
        "PNM",
        _CONVERT,
        tuple(
            ((0, b"P%d" % kind + space),) for kind in range(1, 7) for space in (b"\n", b" ", b"\r")
        ),
    ),
    ("DICOM", "`pneumo predict` renders it and sends PNG", (((128, b"DICM"),),)),
    ("NIfTI", _EXPORT, (((344, b"n+1\0"),), ((344, b"ni1\0"),))),
    ("NRRD", _EXPORT, (((0, b"NRRD000"),),)),
    ("MetaImage", _EXPORT, (((0, b"ObjectType"),),)),
    ("NumPy array", _EXPORT, (((0, b"\x93NUMPY"),),)),
    ("HDF5", _EXPORT, (((0, b"\x89HDF"),),)),
)
# (offset, bytes) of which all must match -> name and advice; the first match counts.
FORMATS: Final[tuple[tuple[Parts, str], ...]] = tuple(
    (parts, f"{name}; {advice}")
    for name, advice, alternatives in _SIGNATURES
    for parts in alternatives
)
# Of files that are certainly images; a PDF or an array beside images is often none.
SUFFIXES: Final = frozenset(
    {
        *(".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".heic", ".heif", ".hif", ".avif"),
        *(".jxl", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc", ".jxr", ".wdp", ".jls"),
        *(".psd", ".exr", ".pbm", ".pgm", ".ppm", ".pnm"),
    }
)

_DJPEG: Final = "convert it to PNG, for example with `djpeg` of libjpeg-turbo 3"
DEEP_JPEG: Final = f"JPEG of more than 8 bits; {_DJPEG}"

# Second bytes of the markers of frames (ISO/IEC 10918-1, table B.1; JPEG-LS: ISO/IEC 14495-1).
DCT_FRAMES: Final = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # decoded if they have 8 bits
OTHER_FRAMES: Final[dict[int, str]] = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), f"lossless JPEG; {_DJPEG}"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), f"hierarchical JPEG; {_EXPORT}"),
    0xF7: f"JPEG-LS; {_EXPORT}",
}
MISPLACED: Final = "white space precedes the signature of the file; remove it"


def unsupported_format(data: bytes) -> str:
    """Returns name and advice for a file in a known format that is not supported, otherwise "".

    Args:
      data: content of a file, or at least its first 64 KiB.
    """
    if data.startswith(PNG_SIGNATURE):
        return ""
    if data.startswith(JPEG_SIGNATURE):
        return _unsupported_jpeg(data)
    if data[:HEAD].lstrip().startswith((JPEG_SIGNATURE, PNG_SIGNATURE)):
        return MISPLACED
    return next((text for parts, text in FORMATS if _matches(data, parts)), "")


def _matches(data: bytes, parts: Parts) -> bool:
    return all(data.startswith(part, offset) for offset, part in parts)


def _unsupported_jpeg(data: bytes) -> str:
    """Reads the markers of a JPEG file until its first frame."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in OTHER_FRAMES:
            return OTHER_FRAMES[marker]
        if marker in DCT_FRAMES:
            return DEEP_JPEG if data[at + 4] > 8 else ""
        if marker in {255, 1} or 208 <= marker <= 216:  # fill byte, or no length
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return ""
