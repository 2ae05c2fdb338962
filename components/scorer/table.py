"""Predictions on disk: one Parquet row for each image."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "predictions.parquet"


def schema() -> "pa.Schema":
    """Columns: id and origin of the image, its label in the task (-1: none), and the scores."""
    import pyarrow as pa

    return pa.schema(
        [
            ("sha256", pa.string()),
            ("filename", pa.string()),
            ("patient_id", pa.string()),
            ("pathogen", pa.string()),
            ("source", pa.string()),
            ("label", pa.int64()),
            ("score", pa.float32()),
            ("probabilities", pa.list_(pa.float32())),
        ]
    )


def write(file: Path, batches: Iterator[dict[str, list[Any]]]) -> int:
    """Writes batches of columns as they come; returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    partial = file.with_name(file.name + ".partial")
    with pq.ParquetWriter(partial, schema()) as out:
        for batch in batches:
            table = pa.table(batch, schema=schema())
            out.write_table(table)
            rows += table.num_rows
    partial.replace(file)
    return rows


def read(folder: Path) -> "pa.Table":
    """Reads the predictions of an artifact's folder, sorted by file name."""
    import pyarrow.parquet as pq

    return pq.read_table(folder / FILE).sort_by("filename")
