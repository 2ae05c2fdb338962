"""Names of the features of one radiograph record (`tf.Example`), and of what Transform makes of it.

One place for the names, so that a typing error is an import error and not an empty column.
"""

from typing import Final

# --- one record, as `pneumo ingest` writes it -------------------------------------------------
IMAGE_ENCODED: Final = "image/encoded"  # bytes: the original file, or a lossless PNG of a DICOM
IMAGE_FORMAT: Final = "image/format"  # bytes: "jpeg" or "png"
IMAGE_HEIGHT: Final = "image/height"  # int64, pixels, as displayed (after EXIF rotation)
IMAGE_WIDTH: Final = "image/width"  # int64, pixels, as displayed (after EXIF rotation)
IMAGE_SHA256: Final = "image/sha256"  # bytes: hex digest of image/encoded; the id of the record
IMAGE_FILENAME: Final = "image/filename"  # bytes: path relative to the source folder, "/" between
# bytes: the collection or batch that the file name shows; of a DICOM file with its view (rsna-AP)
IMAGE_SOURCE: Final = "image/source"
PATIENT_ID: Final = "patient_id"  # bytes: the key that splits and bootstraps keep together
PATHOGEN: Final = "pathogen"  # bytes: one of schema.labels.PATHOGENS

# Boxes of opacities, relative to the displayed image, zero or more of them.
BOX_YMIN: Final = "box/ymin"
BOX_XMIN: Final = "box/xmin"
BOX_YMAX: Final = "box/ymax"
BOX_XMAX: Final = "box/xmax"

# Small numbers of the 8-bit gray image, for statistics and drift. float32, 0..255 unless said.
STATS_MEAN: Final = "stats/mean"
STATS_STD: Final = "stats/std"
STATS_P01: Final = "stats/p01"  # 1st percentile
STATS_P99: Final = "stats/p99"  # 99th percentile
STATS_ENTROPY: Final = "stats/entropy"  # bits, 0..8
STATS_ASPECT: Final = "stats/aspect"  # width / height

# --- what Transform adds ------------------------------------------------------------------------
IMAGE_PNG: Final = "image_png"  # bytes: gray 8-bit PNG at the size of the model
# What goes with it unchanged, so that an answer can be told of its image.
RECORD_STRINGS: Final = (IMAGE_SHA256, IMAGE_FILENAME, PATIENT_ID, PATHOGEN, IMAGE_SOURCE)
RECORD_NUMBERS: Final = (IMAGE_HEIGHT, IMAGE_WIDTH, STATS_MEAN)

# --- what evaluation derives from the pathogen --------------------------------------------------
LABEL: Final = "label"  # int64: 1 where the image is positive in the task, otherwise 0
WEIGHT: Final = "example_weight"  # float32: 0 where the image has no place in the task, else 1

SPLITS: Final = ("train", "val", "test")
