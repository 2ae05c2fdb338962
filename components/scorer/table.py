"""Predictions on disk: one Parquet row for each image."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.embedder.records import Records
from schema.labels import Task

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "predictions.parquet"
BASELINE = "baseline.parquet"


def schema() -> "pa.Schema":
    """Columns.

    sha256 ... brightness: id and origin of the image (brightness: mean gray level, 0..255).
    label: index of its class in the task; -1 where it has none, or more than one may be.
    positive: 1, 0, or -1 where the task does not tell.
    score: probability of the positive classes together, calibrated.
    probabilities: of each class, calibrated, of the ensemble.
    raw: the same before temperature.
    members: each member's own probabilities, before temperature; members * classes values.
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
        ]
    )


def columns(records: Records, of: Task, answers: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """Rows of the table, as columns.

    Args:
      records: who the images are, n of them.
      of: the task.
      answers: `score` [n], `probabilities` [n, classes], `raw` [n, classes], `members`
        [n, members * classes].
    """
    known = list(zip(records.pathogen.tolist(), records.box_counts.tolist(), strict=True))
    return {
        **{name: values.tolist() for name, values in records.columns().items()},
        "label": [of.class_of(*record) for record in known],
        "positive": [of.side(*record) for record in known],
        **{name: answers[name].tolist() for name in ("score", "probabilities", "raw", "members")},
    }


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


def read(file: Path) -> "pa.Table":
    """Reads predictions, sorted by file name."""
    import pyarrow.parquet as pq

    return pq.read_table(file).sort_by("filename")
