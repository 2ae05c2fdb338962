"""Converts PredictionLogs of BulkInferrer to a table."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.metrics.operating_point import DECISIONS, decide, predicted_class
from schema import features as f
from schema.errors import PneumoError
from schema.example import decode
from schema.files import atomic_file
from schema.labels import Task

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "results.parquet"
ROWS = 1024  # rows per row group
_TEXTS = {
    "file": f.IMAGE_FILENAME,
    "patient": f.PATIENT_ID,
    "sha256": f.IMAGE_SHA256,
    "source": f.IMAGE_SOURCE,
}


def schema() -> "pa.Schema":
    """Returns the columns of the table.

    file, patient, sha256, source: from the record.
    score: calibrated probability of the positive classes together; -1 for a rejected image.
    probabilities: calibrated, in the order of `classes` in the metadata of the file.
    predicted_class: at the operating point; empty for a rejected image.
    decision: POSITIVE, NEGATIVE, REFER or REJECTED.
    status: OK, or why the image was rejected.
    """
    import pyarrow as pa

    return pa.schema(
        [
            *((name, pa.string()) for name in _TEXTS),
            ("score", pa.float32()),
            ("probabilities", pa.list_(pa.float32())),
            ("predicted_class", pa.string()),
            ("decision", pa.string()),
            ("status", pa.string()),
        ]
    )


def result_row(log: Any, facts: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Converts a prediction log to a row.

    Args:
      log: a `tensorflow_serving.apis.PredictionLog` of the signature `examples`.
      facts: `threshold` and `band` of the model.
      task: task of the model.

    Raises:
      PneumoError: the log contains no record, or the outputs do not match the task.
    """
    import tensorflow as tf

    (request,) = log.predict_log.request.inputs.values()
    outputs = {
        name: tf.make_ndarray(value)[0] for name, value in log.predict_log.response.outputs.items()
    }
    record = decode(request.string_val[0])
    row: dict[str, Any] = {name: _text(record.get(key, [b""])) for name, key in _TEXTS.items()}
    probabilities = np.asarray(outputs["probabilities"], np.float64)
    if probabilities.shape != (len(task.classes),):
        raise PneumoError(
            f"{row['file']}: {probabilities.size} probabilities for {len(task.classes)} classes of "
            f"task {task.name!r}; the prediction logs belong to another model"
        )
    status = outputs["status"].decode() if "status" in outputs else "OK"
    rejected = not status.startswith("OK")
    score = np.array([outputs["score"]], np.float64)
    band = facts.get("band")
    decision = int(decide(score, facts["threshold"], tuple(band) if band else None)[0])
    label = predicted_class(probabilities[np.newaxis], score, task.positive, facts["threshold"])
    return {
        **row,
        "score": float(score[0]),
        "probabilities": outputs["probabilities"].tolist(),
        "predicted_class": "" if rejected else task.classes[int(label[0])],
        "decision": "REJECTED" if rejected else DECISIONS[decision],
        "status": status,
    }


def _text(values: Any) -> str:
    return values[0].decode(errors="replace") if values else ""


def read_prediction_logs(files: Iterable[str]) -> Iterator[Any]:
    """Streams the PredictionLogs of gzip TFRecords."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    for record in tf.data.TFRecordDataset(list(files), compression_type="GZIP"):
        yield prediction_log_pb2.PredictionLog.FromString(record.numpy())


def read_ids(files: Iterable[str]) -> "Counter[str]":
    """Counts the ids in gzip TFRecords of raw records."""
    import tensorflow as tf

    spec = {f.IMAGE_SHA256: tf.io.FixedLenFeature([], tf.string)}
    ids: Counter[str] = Counter()
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(64)
    for batch in records:
        parsed = tf.io.parse_example(batch, spec)[f.IMAGE_SHA256]
        ids.update(value.decode() for value in parsed.numpy())
    return ids


def write(file: Path, rows: Iterable[dict[str, Any]], classes: tuple[str, ...]) -> "Counter[str]":
    """Writes the table in chunks; returns the count of each id."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    ids: Counter[str] = Counter()
    columns = schema().with_metadata({"classes": json.dumps(classes)})
    with atomic_file(file) as stream, pq.ParquetWriter(stream, columns) as out:
        chunk: list[dict[str, Any]] = []
        for row in rows:
            chunk.append(row)
            ids[row["sha256"]] += 1
            if len(chunk) == ROWS:
                out.write_table(pa.Table.from_pylist(chunk, schema=columns))
                chunk = []
        out.write_table(pa.Table.from_pylist(chunk, schema=columns))
    return ids


def reconcile(records: "Counter[str]", predicted: "Counter[str]") -> int:
    """Returns the number of rows after checking that each record has exactly one.

    Raises:
      PneumoError: a record has no row, or more than one.
    """
    if records != predicted:
        missing, extra = records - predicted, predicted - records
        raise PneumoError(
            f"batch: {missing.total()} of {records.total()} records have no prediction and "
            f"{extra.total()} predictions no record (first: {next(iter([*missing, *extra]))}); "
            "run it again, and report an issue if the error persists"
        )
    return records.total()
