"""Who the rows of an embedding are: id, patient, pathogen, boxes and what slices need."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from core.images.boxes import EDGES
from schema import features as f

if TYPE_CHECKING:
    import tensorflow as tf

# Column of the table -> feature of Transform's output.
STRINGS = {
    "sha256": f.IMAGE_SHA256,
    "filename": f.IMAGE_FILENAME,
    "patient_id": f.PATIENT_ID,
    "pathogen": f.PATHOGEN,
    "source": f.IMAGE_SOURCE,
}
NUMBERS = {"height": f.IMAGE_HEIGHT, "width": f.IMAGE_WIDTH, "brightness": f.STATS_MEAN}
BOXES = "boxes"
FILE = "records.parquet"


def record_spec() -> "dict[str, tf.io.FixedLenFeature]":
    """Returns the parsing spec of the features that `ImageRecords` needs."""
    import tensorflow as tf

    kinds = {f.IMAGE_HEIGHT: tf.int64, f.IMAGE_WIDTH: tf.int64, f.STATS_MEAN: tf.float32}
    return {
        **{name: tf.io.FixedLenFeature([], tf.string) for name in STRINGS.values()},
        **{name: tf.io.FixedLenFeature([], kinds[name]) for name in NUMBERS.values()},
    }


def parse_records(
    serialized: "tf.Tensor", more: "dict[str, Any] | None" = None
) -> "dict[str, tf.Tensor]":
    """Reads records: one tensor for each name, as `ImageRecords.from_batches` takes them.

    Args:
      serialized: string [n], `tf.Example` of ingest or of Transform.
      more: spec of further features.

    Returns:
      feature name -> [n]; and `boxes` float32 [n, k, 4] (ymin, xmin, ymax, xmax; relative), k the
      most of the batch, NaN after the last of a record. A record without box features has none.
    """
    import tensorflow as tf

    edges = {name: tf.io.RaggedFeature(tf.float32) for name in EDGES}
    parsed = tf.io.parse_example(serialized, {**record_spec(), **edges, **(more or {})})
    boxes = tf.stack([parsed.pop(name).to_tensor(float("nan")) for name in EDGES], axis=-1)
    return {**parsed, BOXES: boxes}


@dataclass(frozen=True)
class ImageRecords:
    """One entry for each image, in the order of the features.

    Attributes:
      sha256: id of the image, str [n].
      filename: str [n].
      patient_id: str [n].
      pathogen: str [n], of schema.labels.PATHOGENS.
      source: str [n].
      height: int64 [n], pixels.
      width: int64 [n], pixels.
      brightness: float32 [n], mean gray level 0..255.
      boxes: object [n], each float32 [k, 4]: ymin, xmin, ymax, xmax, relative to the displayed
        image; left out: no record has any.
    """

    sha256: np.ndarray
    filename: np.ndarray
    patient_id: np.ndarray
    pathogen: np.ndarray
    source: np.ndarray
    height: np.ndarray
    width: np.ndarray
    brightness: np.ndarray
    boxes: np.ndarray = field(default_factory=lambda: np.empty(0, object))

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self):
            if len(self.boxes):
                raise ValueError(f"{len(self.boxes)} sets of boxes for {len(self)} records")
            object.__setattr__(self, "boxes", ragged_boxes([[] for _ in range(len(self))]))

    def __len__(self) -> int:
        return len(self.sha256)

    @property
    def box_counts(self) -> np.ndarray:
        """How many boxes each record has, int64 [n]; what a located task takes its label from."""
        return np.array([len(boxes) for boxes in self.boxes], np.int64)

    def columns(self) -> dict[str, Any]:
        """Column name -> values, one for each image; the boxes are not among them."""
        return {name: getattr(self, name) for name in (*STRINGS, *NUMBERS)}

    @classmethod
    def from_batches(cls, batches: list[dict[str, Any]]) -> Self:
        """From batches of tensors as `core.training.transformed_images` streams them."""

        def joined(name: str, text: bool) -> np.ndarray:
            parts = [np.asarray(batch[name]) for batch in batches]
            values = np.concatenate(parts) if parts else np.empty(0, bytes)
            if not text:
                return values
            return np.array([value.decode(errors="replace") for value in values.tolist()], str)

        padded = [row for batch in batches for row in np.asarray(batch.get(BOXES, ()))]
        return cls(
            **{column: joined(name, True) for column, name in STRINGS.items()},
            **{column: joined(name, False) for column, name in NUMBERS.items()},
            boxes=ragged_boxes([row[~np.isnan(row[:, 0])] for row in padded]),
        )

    def write(self, folder: Path) -> None:
        """Writes `records.parquet`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({name: pa.array(values) for name, values in self.columns().items()})
        flat = pa.array([row.ravel() for row in self.boxes], pa.list_(pa.float32()))
        pq.write_table(table.append_column(BOXES, flat), folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what `write` wrote."""
        import pyarrow.parquet as pq

        rows = pq.read_table(folder / FILE)
        return cls(
            **{name: np.array(rows[name].to_pylist(), str) for name in STRINGS},
            **{name: rows[name].to_numpy() for name in NUMBERS},
            boxes=ragged_boxes(rows[BOXES].to_pylist() if BOXES in rows.column_names else []),
        )


def ragged_boxes(rows: Iterable[Any]) -> np.ndarray:
    """Boxes of images, [k, 4] or 4 k numbers each -> object [n], each float32 [k, 4]."""
    boxes = [np.asarray(row, np.float32).reshape(-1, 4) for row in rows]
    out = np.empty(len(boxes), object)
    for i, row in enumerate(boxes):
        out[i] = row
    return out
