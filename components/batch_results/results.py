"""PredictionLogs of BulkInferrer -> rows of a table."""

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
ROWS = 1024  # of a row group
_TEXTS = {
    "file": f.IMAGE_FILENAME,
    "patient": f.PATIENT_ID,
    "sha256": f.IMAGE_SHA256,
    "source": f.IMAGE_SOURCE,
}


def schema() -> "pa.Schema":
    """Columns.

    file, patient, sha256, source: of the record.
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


def result_row(log: Any, facts: Mapping[str, Any], of: Task) -> dict[str, Any]:
    """One row.

    Args:
      log: a `tensorflow_serving.apis.PredictionLog` of the signature `examples`.
      facts: `threshold` and `band` of the model.
      of: its task.

    Raises:
      PneumoError: the log holds no record, or the answer does not fit the task.
    """
    import tensorflow as tf

    (sent,) = log.predict_log.request.inputs.values()
    answer = {
        name: tf.make_ndarray(value)[0] for name, value in log.predict_log.response.outputs.items()
    }
    record = decode(sent.string_val[0])
    row: dict[str, Any] = {name: _text(record.get(key, [b""])) for name, key in _TEXTS.items()}
    probabilities = np.asarray(answer["probabilities"], np.float64)
    if probabilities.shape != (len(of.classes),):
        raise PneumoError(
            f"{row['file']}: {probabilities.size} probabilities for {len(of.classes)} classes of "
            f"task {of.name!r}; the answers belong to another model"
        )
    status = answer["status"].decode() if "status" in answer else "OK"
    rejected = not status.startswith("OK")
    score = np.array([answer["score"]], np.float64)
    band = facts.get("band")
    called = int(decide(score, facts["threshold"], tuple(band) if band else None)[0])
    chosen = predicted_class(probabilities[np.newaxis], score, of.positive, facts["threshold"])
    return {
        **row,
        "score": float(score[0]),
        "probabilities": answer["probabilities"].tolist(),
        "predicted_class": "" if rejected else of.classes[int(chosen[0])],
        "decision": "REJECTED" if rejected else DECISIONS[called],
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
    """How often each id stands in gzip TFRecords of raw records."""
    import tensorflow as tf

    spec = {f.IMAGE_SHA256: tf.io.FixedLenFeature([], tf.string)}
    found: Counter[str] = Counter()
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(64)
    for batch in records:
        parsed = tf.io.parse_example(batch, spec)[f.IMAGE_SHA256]
        found.update(value.decode() for value in parsed.numpy())
    return found


def write(file: Path, rows: Iterable[dict[str, Any]], classes: tuple[str, ...]) -> "Counter[str]":
    """Writes the table as a stream; returns how often each id stands in it."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    found: Counter[str] = Counter()
    columns = schema().with_metadata({"classes": json.dumps(classes)})
    with atomic_file(file) as stream, pq.ParquetWriter(stream, columns) as out:
        held: list[dict[str, Any]] = []
        for row in rows:
            held.append(row)
            found[row["sha256"]] += 1
            if len(held) == ROWS:
                out.write_table(pa.Table.from_pylist(held, schema=columns))
                held = []
        out.write_table(pa.Table.from_pylist(held, schema=columns))
    return found


def reconcile(given: "Counter[str]", answered: "Counter[str]") -> int:
    """The number of rows, if each record has exactly one.

    Raises:
      PneumoError: a record was lost, or answered twice.
    """
    if given != answered:
        lost, extra = given - answered, answered - given
        raise PneumoError(
            f"batch: {lost.total()} of {given.total()} records have no answer and "
            f"{extra.total()} answers no record (first: {next(iter([*lost, *extra]))}); "
            "run it again, and tell if it stays"
        )
    return given.total()
