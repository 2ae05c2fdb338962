"""Signatures, limits, statuses of served images and EXIF orientations.

Shared by the two implementations, `validate_pillow` (ingest) and `validate_tf` (in the SavedModel).
Standard library only, because clients of a server import this module.
"""

from dataclasses import asdict, dataclass
from typing import Final, Literal, get_args

# How an image becomes the square of the model, see `resize_tf.resize_gray`.
Fit = Literal["stretch", "pad", "crop"]
FITS: Final[tuple[str, ...]] = get_args(Fit)

# File signatures and markers.
JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
JPEG_SCAN: Final = b"\xff\xda"
JPEG_END: Final = b"\xff\xd9"
JPEG_PROGRESSIVE: Final = b"\xff\xc2"
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"IEND"

# Truncation. An undecodable file is truncated if its last `TAIL` bytes contain no end marker.
# A sequential JPEG that was cut and closed again can be decoded: libjpeg fills the missing blocks
# of `BLOCK` rows with `MISSING_GRAY`.
TAIL: Final = 4096
BLOCK: Final = 8
MISSING_GRAY: Final = 128

# Sizes. Served images: `ImageLimits`. Ingest: options `max_pixels` and `min_side`.
MIN_SIDE: Final = 16  # pixels
MAX_SIDE: Final = 65_535  # pixels; the limit of JPEG and of the schema
MAX_ASPECT: Final = 50.0
MAX_BYTES: Final = 32 << 20  # of a JPEG or PNG file that is served
MAX_DICOM_BYTES: Final = 256 << 20  # of a DICOM file, also after inflating
MAX_DICOM_PIXELS: Final = 64 << 20
MAX_SCANS: Final = 1000  # of a progressive JPEG

# Luma of ITU-R BT.601 in 16-bit fixed point, as Pillow and libjpeg compute it.
LUMA: Final = (19595, 38470, 7471)

# EXIF orientation -> what displays the stored image: (transpose, then flip rows, flip columns).
ORIENTATION_TAG: Final = 0x0112
ORIENTATIONS: Final[dict[int, tuple[bool, bool, bool]]] = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

# Status of a served image.
OK: Final = "OK"
EMPTY: Final = "EMPTY"
NOT_JPEG_OR_PNG: Final = "NOT_JPEG_OR_PNG"
TOO_MANY_BYTES: Final = "TOO_MANY_BYTES"
TOO_MANY_PIXELS: Final = "TOO_MANY_PIXELS"
TOO_SMALL: Final = "TOO_SMALL"
TRUNCATED: Final = "TRUNCATED"
DAMAGED: Final = "DAMAGED"
UNSUPPORTED_JPEG: Final = "UNSUPPORTED_JPEG"
# Of an image that can be decoded but is no radiograph: the decision is REFER, without a score.
LOW_RESOLUTION: Final = "LOW_RESOLUTION"
BLANK: Final = "BLANK"
LOW_CONTRAST: Final = "LOW_CONTRAST"
FEW_GRAY_VALUES: Final = "FEW_GRAY_VALUES"
COLOR_PHOTO: Final = "COLOR_PHOTO"
INVERTED: Final = "INVERTED"
CONTENT_STATUSES: Final = (
    *(LOW_RESOLUTION, BLANK, LOW_CONTRAST),
    *(FEW_GRAY_VALUES, COLOR_PHOTO, INVERTED),
)
STATUS_MESSAGES: Final = {
    OK: "",
    EMPTY: "the file is empty",
    NOT_JPEG_OR_PNG: "not a JPEG or PNG file",
    TOO_MANY_BYTES: "the file is too large",
    TOO_MANY_PIXELS: "the image is too large",
    TOO_SMALL: "the image is too small",
    TRUNCATED: "the file is truncated",
    DAMAGED: "the file is damaged",
    UNSUPPORTED_JPEG: "a kind of JPEG that is not supported",
    LOW_RESOLUTION: "the image has too few pixels for the model",
    BLANK: "all pixels have one gray value",
    LOW_CONTRAST: "nearly all pixels have gray values within 16 of 256",
    FEW_GRAY_VALUES: "a mask or a drawing: nearly all pixels have one of few gray values",
    COLOR_PHOTO: "a color photograph",
    INVERTED: "inverted gray values: the spine is darker than the lungs",
}


@dataclass(frozen=True)
class ImageLimits:
    """Limits of a served image.

    Attributes:
      max_bytes: size of the file.
      max_pixels: width times height, checked before decoding. Large detectors have 20 million;
        decoding two images of 40 million at a time takes 1.6 GB.
      min_side: shorter side, pixels; the default of ingest.
      max_scanned: pixels times scans of a JPEG. Every scan of a progressive file costs a pass over
        the whole image, however few bytes it has; encoders write about ten.
      check_content: whether an image that is no radiograph is referred, see `CONTENT_STATUSES`.
    """

    max_bytes: int = MAX_BYTES
    max_pixels: int = 40_000_000
    min_side: int = MIN_SIDE
    max_scanned: int = 640_000_000
    check_content: bool = True

    def to_dict(self) -> dict[str, int]:
        """Returns the limits as stored beside the model."""
        return asdict(self)
