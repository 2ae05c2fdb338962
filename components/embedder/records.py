"""Who the rows of an embedding are: id, patient, pathogen and what slices need."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

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
FILE = "records.parquet"


def record_spec() -> "dict[str, tf.io.FixedLenFeature]":
    """What `tf.io.parse_example` reads of a record: feature name -> one value, for `Records`."""
    import tensorflow as tf

    kinds = {f.IMAGE_HEIGHT: tf.int64, f.IMAGE_WIDTH: tf.int64, f.STATS_MEAN: tf.float32}
    return {
        **{name: tf.io.FixedLenFeature([], tf.string) for name in STRINGS.values()},
        **{name: tf.io.FixedLenFeature([], kinds[name]) for name in NUMBERS.values()},
    }


@dataclass(frozen=True)
class Records:
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
    """

    sha256: np.ndarray
    filename: np.ndarray
    patient_id: np.ndarray
    pathogen: np.ndarray
    source: np.ndarray
    height: np.ndarray
    width: np.ndarray
    brightness: np.ndarray

    def __len__(self) -> int:
        return len(self.sha256)

    def columns(self) -> dict[str, Any]:
        """Column name -> values."""
        return {of.name: getattr(self, of.name) for of in fields(self)}

    @classmethod
    def of_batches(cls, batches: list[dict[str, Any]]) -> Self:
        """From batches of tensors as `components.trainer.data` streams them."""

        def joined(name: str, text: bool) -> np.ndarray:
            parts = [np.asarray(batch[name]) for batch in batches]
            values = np.concatenate(parts) if parts else np.empty(0, bytes)
            if not text:
                return values
            return np.array([value.decode(errors="replace") for value in values.tolist()], str)

        return cls(
            **{column: joined(name, True) for column, name in STRINGS.items()},
            **{column: joined(name, False) for column, name in NUMBERS.items()},
        )

    def write(self, folder: Path) -> None:
        """Writes `records.parquet`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({name: pa.array(values) for name, values in self.columns().items()})
        pq.write_table(table, folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what `write` wrote."""
        import pyarrow.parquet as pq

        rows = pq.read_table(folder / FILE)
        return cls(
            **{name: np.array(rows[name].to_pylist(), str) for name in STRINGS},
            **{name: rows[name].to_numpy() for name in NUMBERS},
        )
