"""Predictions table: a Parquet file with one row per image."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema.files import atomic_file

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "predictions.parquet"
BASELINE = "baseline.parquet"
SHIFTED = "shifted_predictions.parquet"


def schema(folds: bool = False) -> "pa.Schema":
    """Returns the columns.

    sha256 ... brightness: id and origin of the image (brightness: mean gray level, 0..255).
    label: class index in the task; -1 if unknown or ambiguous.
    positive: 1, 0, or -1 if the task does not define it.
    score: calibrated probability of the positive classes together.
    probabilities: calibrated class probabilities of the ensemble; raw: before temperature scaling.
    members: class probabilities of each member before temperature scaling, flat.
    truth_boxes: ymin, xmin, ymax, xmax of each marked opacity, relative.
    boxes, box_scores: predicted boxes and their scores, best first.

    With `folds` also those of shifted validation:
    fold: number of the fold in `shifted_validation.json`, from 0.
    held_out: whether the image was held out; otherwise it is a validation image of the other side.
    """
    import pyarrow as pa

    floats = pa.list_(pa.float32())
    return pa.schema(
        [
            ("sha256", pa.string()),
            ("filename", pa.string()),
            ("patient_id", pa.string()),
            ("pathogen", pa.string()),
            ("source", pa.string()),
            ("height", pa.int64()),
            ("width", pa.int64()),
            ("brightness", pa.float32()),
            ("label", pa.int64()),
            ("positive", pa.int64()),
            ("score", pa.float32()),
            ("probabilities", floats),
            ("raw", floats),
            ("members", floats),
            ("truth_boxes", floats),
            ("boxes", floats),
            ("box_scores", floats),
            *([("fold", pa.int64()), ("held_out", pa.bool_())] if folds else []),
        ]
    )


def write(file: Path, batches: Iterator[dict[str, list[Any]]], folds: bool = False) -> int:
    """Streams batches of columns to a file; returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    with atomic_file(file) as stream, pq.ParquetWriter(stream, schema(folds)) as out:
        for batch in batches:
            table = pa.table(batch, schema=schema(folds))
            out.write_table(table)
            rows += table.num_rows
    return rows


def read(file: Path) -> "pa.Table":
    """Reads predictions, sorted by file name."""
    import pyarrow.parquet as pq

    return pq.read_table(file, partitioning=None).sort_by("filename")
