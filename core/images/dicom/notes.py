"""Notes on DICOM files that are accepted although a viewer may show something else.

A note is a code, so that nothing of the file is copied. Ingest stores the codes in the manifest
(`dicom.notes`) and counts them in `dataset.json`; `pneumo predict` counts them too.
"""

from typing import Final

NO_PREAMBLE: Final = "no_preamble"
NO_TRANSFER_SYNTAX: Final = "no_transfer_syntax"
MORE_BITS: Final = "more_bits"
OTHER_SIGN: Final = "other_sign"
RESCALE_IGNORED: Final = "rescale_ignored"
TABLE_CORRECTED: Final = "table_corrected"
TABLE_IGNORED: Final = "table_ignored"
WINDOW_IGNORED: Final = "window_ignored"
OUTLIERS: Final = "outliers"
FOR_PROCESSING: Final = "for_processing"
OTHER_BODY_PART: Final = "other_body_part"

NOTES: Final[dict[str, str]] = {
    NO_PREAMBLE: "no preamble: the file starts with its first element",
    NO_TRANSFER_SYNTAX: "no transfer syntax: taken from the encoding of the elements",
    MORE_BITS: "more bits than BitsStored says: all bits are shown",
    OTHER_SIGN: "PixelRepresentation tears the image: the other sign is used",
    RESCALE_IGNORED: "RescaleSlope is 0 or invalid: shown without the rescale",
    TABLE_CORRECTED: "a descriptor disagrees with its table: the entries are trusted",
    TABLE_IGNORED: "the VOI table is invalid or shows nothing: shown without it",
    WINDOW_IGNORED: "the window is invalid or shows nothing: the range of values is shown",
    OUTLIERS: "single values far outside of the others: cut off",
    FOR_PROCESSING: "raw detector image (FOR PROCESSING), not meant for display",
    OTHER_BODY_PART: "BodyPartExamined is not the chest",
}
