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
BOXES = ("truth_boxes", "boxes", "box_scores")


def schema() -> "pa.Schema":
    """Columns.

    sha256 ... brightness: id and origin of the image (brightness: mean gray level, 0..255).
    label: index of its class in the task; -1 where it has none, or more than one may be.
    positive: 1, 0, or -1 where the task does not tell.
    score: probability of the positive classes together, calibrated.
    probabilities: of each class, calibrated, of the ensemble.
    raw: the same before temperature.
    members: each member's own probabilities, before temperature; members * classes values.
    truth_boxes: ymin, xmin, ymax, xmax of each opacity that is marked in the record, relative.
    boxes: the same of each box that the model predicts, best first; empty where it predicts none.
    box_scores: of each of them.
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
        ]
    )


def columns(records: Records, of: Task, answers: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Rows of the table, as columns.

    Args:
      records: who the images are, n of them.
      of: the task.
      answers: `score` [n], `probabilities` [n, classes], `raw` [n, classes], `members`
        [n, members * classes]; of a model that predicts boxes `boxes` and `box_scores`, see
        `predicted`.
    """
    known = list(zip(records.pathogen.tolist(), records.box_counts.tolist(), strict=True))
    boxes, scores = predicted(len(records), answers)
    return {
        **{name: values.tolist() for name, values in records.columns().items()},
        "label": [of.class_of(*record) for record in known],
        "positive": [of.side(*record) for record in known],
        **{name: answers[name].tolist() for name in ("score", "probabilities", "raw", "members")},
        "truth_boxes": [rows.ravel().tolist() for rows in records.boxes],
        "boxes": [rows.ravel().tolist() for rows in boxes],
        "box_scores": [row.tolist() for row in scores],
    }


def predicted(n: int, answers: Mapping[str, Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Predicted boxes of each image, best first.

    Args:
      n: images.
      answers: `boxes`, for each image m boxes, as [m, 4] or in one row, relative; `box_scores`, for
        each m scores, below 0 where there is no box. Without them no image has a box.

    Returns:
      float32 [m, 4] and [m] of each image.

    Raises:
      ValueError: there are not as many of them as images, or as boxes.
    """
    if "boxes" not in answers:
        return [np.zeros((0, 4), np.float32)] * n, [np.zeros(0, np.float32)] * n
    if not len(answers["boxes"]) == len(answers["box_scores"]) == n:
        raise ValueError(f"{len(answers['boxes'])} sets of boxes for {n} images")
    boxes, scores = [], []
    for of_image, row in zip(answers["boxes"], answers["box_scores"], strict=True):
        every = np.asarray(of_image, np.float32).reshape(-1, 4)
        score = np.asarray(row, np.float32).reshape(-1)
        if len(every) != len(score):
            raise ValueError(f"{len(every)} boxes and {len(score)} scores in one image")
        order = np.argsort(-score, kind="stable")
        order = order[score[order] >= 0]
        boxes.append(every[order])
        scores.append(score[order])
    return boxes, scores


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
    """Reads predictions, sorted by file name; one of before boxes were known has empty ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file).sort_by("filename")
    for field in schema():
        if field.name in BOXES and field.name not in table.column_names:
            nothing = pa.array([[]] * table.num_rows, field.type)
            table = table.append_column(field, nothing)
    return table
