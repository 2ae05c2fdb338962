"""Feature names of a radiograph record (`tf.Example`) and of the columns that Transform adds.

Defined once, so that a typo is an import error and not an empty column.
"""

from typing import Final

# --- a record, as `pneumo ingest` writes it -----------------------------------------------------
IMAGE_ENCODED: Final = "image/encoded"  # bytes: the original file, or a lossless PNG of a DICOM
IMAGE_FORMAT: Final = "image/format"  # bytes: "jpeg" or "png"
IMAGE_HEIGHT: Final = "image/height"  # int64, pixels, as displayed (after EXIF rotation)
IMAGE_WIDTH: Final = "image/width"  # int64, pixels, as displayed (after EXIF rotation)
IMAGE_SHA256: Final = "image/sha256"  # bytes: hex digest of image/encoded; the id of the record
IMAGE_FILENAME: Final = "image/filename"  # bytes: path below the source folder, with "/"
# bytes: collection or batch, from the file name; for DICOM with the view position (rsna-AP)
IMAGE_SOURCE: Final = "image/source"
PATIENT_ID: Final = (
    "patient_id"  # bytes: splits and bootstrap samples keep a patient's images together
)
PATHOGEN: Final = "pathogen"  # bytes: one of schema.labels.PATHOGENS

# Zero or more boxes of opacities, in fractions of the displayed image.
BOX_YMIN: Final = "box/ymin"
BOX_XMIN: Final = "box/xmin"
BOX_YMAX: Final = "box/ymax"
BOX_XMAX: Final = "box/xmax"
BOX_EDGES: Final = (BOX_YMIN, BOX_XMIN, BOX_YMAX, BOX_XMAX)

# Statistics of the 8-bit gray image. float32; 0..255 unless a comment gives another range.
STATS_MEAN: Final = "stats/mean"
STATS_STD: Final = "stats/std"
STATS_P01: Final = "stats/p01"  # 1st percentile
STATS_P99: Final = "stats/p99"  # 99th percentile
STATS_ENTROPY: Final = "stats/entropy"  # bits, 0..8
STATS_ASPECT: Final = "stats/aspect"  # width / height

# --- columns that Transform adds ----------------------------------------------------------------
IMAGE_PNG: Final = "image_png"  # bytes: gray 8-bit PNG at the model's input size
# Copied unchanged, so that a prediction can be traced to its record.
RECORD_STRINGS: Final = (IMAGE_SHA256, IMAGE_FILENAME, PATIENT_ID, PATHOGEN, IMAGE_SOURCE)
RECORD_NUMBERS: Final = (IMAGE_HEIGHT, IMAGE_WIDTH, STATS_MEAN)

# --- columns that evaluation derives from the pathogen ------------------------------------------
LABEL: Final = "label"  # int64: 1 where the image is positive in the task, otherwise 0
WEIGHT: Final = "example_weight"  # float32: 0 if the task excludes the record, else 1

SPLITS: Final = ("train", "val", "test")
