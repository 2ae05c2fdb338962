"""Record features of the rows of an embedding: id, patient, pathogen, size, boxes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from schema import features as f
from schema.labels import Task

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


def _record_spec() -> "dict[str, tf.io.FixedLenFeature]":
    import tensorflow as tf

    types = {f.IMAGE_HEIGHT: tf.int64, f.IMAGE_WIDTH: tf.int64, f.STATS_MEAN: tf.float32}
    return {
        **{name: tf.io.FixedLenFeature([], tf.string) for name in STRINGS.values()},
        **{name: tf.io.FixedLenFeature([], types[name]) for name in NUMBERS.values()},
    }


def parse_records(
    serialized: "tf.Tensor", extra: "dict[str, Any] | None" = None
) -> "dict[str, tf.Tensor]":
    """Parses serialized records.

    Args:
      serialized: string [n], `tf.Example` written by ingest or by Transform.
      extra: parsing spec of additional features.

    Returns:
      Feature name -> [n]; and `boxes`, float32 [n, k, 4] (ymin, xmin, ymax, xmax; relative), k the
      largest number of boxes in the batch, padded with NaN.
    """
    import tensorflow as tf

    edges = {name: tf.io.RaggedFeature(tf.float32) for name in f.BOX_EDGES}
    parsed = tf.io.parse_example(serialized, {**_record_spec(), **edges, **(extra or {})})
    boxes = tf.stack([parsed.pop(name).to_tensor(float("nan")) for name in f.BOX_EDGES], axis=-1)
    return {**parsed, BOXES: boxes}


@dataclass(frozen=True)
class ImageRecords:
    """Record features as columns, one entry per image, in the order of the embedding.

    Attributes:
      sha256: image id, str [n].
      filename: str [n].
      patient_id: str [n].
      pathogen: str [n], one of schema.labels.PATHOGENS.
      source: str [n].
      height: int64 [n], pixels.
      width: int64 [n], pixels.
      brightness: float32 [n], mean gray level, 0..255.
      boxes: object [n], each float32 [k, 4]: ymin, xmin, ymax, xmax, relative to the displayed
        image; omitted: no image has boxes.
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
        """Number of boxes of each image, int64 [n]; the label of a detection task."""
        return np.array([len(boxes) for boxes in self.boxes], np.int64)

    def class_labels(self, task: Task) -> np.ndarray:
        """Class of each image, -1 if there is none or more than one, int64 [n]."""
        return self._labels(task.class_of)

    def binary_labels(self, task: Task) -> np.ndarray:
        """1 positive, 0 negative, -1 if the task does not define it, int64 [n]."""
        return self._labels(task.binary_label)

    def _labels(self, label_of: Callable[[str, int], int]) -> np.ndarray:
        known = zip(self.pathogen.tolist(), self.box_counts.tolist(), strict=True)
        return np.array([label_of(*record) for record in known], np.int64)

    def take(self, rows: np.ndarray) -> Self:
        """Selects images by their indices, int [m]."""
        return type(self)(
            **{column.name: getattr(self, column.name)[rows] for column in fields(self)}
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Appends records; at least one part."""
        return cls(
            **{
                column.name: np.concatenate([getattr(part, column.name) for part in parts])
                for column in fields(cls)
            }
        )

    def columns(self) -> dict[str, Any]:
        """Returns column name -> values, without the boxes."""
        return {name: getattr(self, name) for name in (*STRINGS, *NUMBERS)}

    @classmethod
    def from_batches(cls, batches: list[dict[str, Any]]) -> Self:
        """Builds the columns from batches that `parse_records` returned."""

        def concatenated(name: str, text: bool) -> np.ndarray:
            parts = [np.asarray(batch[name]) for batch in batches]
            values = np.concatenate(parts) if parts else np.empty(0, bytes)
            if not text:
                return values
            return np.array([value.decode(errors="replace") for value in values.tolist()], str)

        padded = [row for batch in batches for row in np.asarray(batch.get(BOXES, ()))]
        return cls(
            **{column: concatenated(name, True) for column, name in STRINGS.items()},
            **{column: concatenated(name, False) for column, name in NUMBERS.items()},
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
        """Reads `records.parquet`."""
        import pyarrow.parquet as pq

        rows = pq.read_table(folder / FILE, partitioning=None)
        return cls(
            **{name: np.array(rows[name].to_pylist(), str) for name in STRINGS},
            **{name: rows[name].to_numpy() for name in NUMBERS},
            boxes=ragged_boxes(rows[BOXES].to_pylist() if BOXES in rows.column_names else []),
        )


def ragged_boxes(rows: Iterable[Any]) -> np.ndarray:
    """Converts the boxes of each image, [k, 4] or flat [4 k], to object [n] of float32 [k, 4]."""
    boxes = [np.asarray(row, np.float32).reshape(-1, 4) for row in rows]
    out = np.empty(len(boxes), object)
    for i, row in enumerate(boxes):
        out[i] = row
    return out
