"""Finds segments of JPEG files and chunks of PNG files.

`segments_tf` does the same with TensorFlow ops. Standard library only.
"""

from typing import Final

from core.images.rules import JPEG_SIGNATURE, PNG_SIGNATURE

# More segments or chunks are not read. Encoders write chunks of 8 KiB or more, so that the limit is
# beyond the largest file that is served.
MAX_SEGMENTS: Final = 5000
EXIF_HEADER: Final = b"Exif\0\0"
EXIF_CHUNK: Final = b"eXIf"
BITS_CHUNK: Final = b"sBIT"
END_CHUNK: Final = b"IEND"
# Second bytes of JPEG markers.
APP1: Final = 0xE1
LAST_MARKERS: Final = (0xD9, 0xDA)  # end of the image, start of the pixels
FIRST_BARE: Final = 0xD0  # to LAST_BARE and TEM: markers without a length
LAST_BARE: Final = 0xD8
TEM: Final = 0x01


def find_exif(content: bytes) -> bytes:
    """Returns the TIFF structure of the first EXIF segment or chunk of a file; b"" without one."""
    if content.startswith(JPEG_SIGNATURE):
        return _find_jpeg_exif(content) if EXIF_HEADER in content else b""
    return find_chunk(content, EXIF_CHUNK).removeprefix(EXIF_HEADER)


def find_chunk(content: bytes, name: bytes) -> bytes:
    """Returns the body of the first PNG chunk with a name, cut at the end; b"" without one."""
    if not content.startswith(PNG_SIGNATURE) or name not in content:
        return b""
    at = len(PNG_SIGNATURE)
    for _ in range(MAX_SEGMENTS):
        found = content[at + 4 : at + 8]
        if len(found) < 4 or found == END_CHUNK:
            break
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if found == name:
            return content[at + 8 : end]
        at = end + 4
    return b""


def _find_jpeg_exif(content: bytes) -> bytes:
    at = 2
    for _ in range(MAX_SEGMENTS):
        if at + 4 > len(content) or content[at] != 0xFF:
            break
        marker = content[at + 1]
        if marker in LAST_MARKERS:
            break
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == TEM or FIRST_BARE <= marker <= LAST_BARE:
            at += 2
        else:
            end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
            if marker == APP1 and content.startswith(EXIF_HEADER, at + 4):
                return content[at + 4 + len(EXIF_HEADER) : end]
            at = end
    return b""
