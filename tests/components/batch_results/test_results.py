import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.batch_results.results import (
    FILE,
    ROWS,
    read_ids,
    read_prediction_logs,
    reconcile,
    result_row,
    schema,
    write,
)
from schema.errors import PneumoError
from schema.labels import BINARY, THREE_CLASS
from tests.support import records

FACTS: dict[str, Any] = {"threshold": 0.5, "band": [0.3, 0.5]}


def log(
    score: float, name: str = "p-1.png", status: str | None = None, classes: int = 2
) -> prediction_log_pb2.PredictionLog:
    made = prediction_log_pb2.PredictionLog()
    record = records.example(records.values(b"pixels", "unknown", name))
    made.predict_log.request.inputs["examples"].CopyFrom(tf.make_tensor_proto([record]))
    outputs: dict[str, Any] = {
        "score": np.array([score], np.float32),
        "probabilities": np.array([[1 - score, score, 0][:classes]], np.float32),
    }
    if status is not None:
        outputs["status"] = np.array([status.encode()], object)
    for key, value in outputs.items():
        made.predict_log.response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return made


@pytest.mark.parametrize(
    ("score", "status", "decision", "predicted"),
    [
        (0.9, None, "POSITIVE", "PNEUMONIA"),
        (0.5, "OK", "POSITIVE", "PNEUMONIA"),
        (0.4, None, "REFER", "NORMAL"),
        (0.1, None, "NEGATIVE", "NORMAL"),
        (-1.0, "TRUNCATED: 3 bytes", "REJECTED", ""),
    ],
)
def test_a_row(score: float, status: str | None, decision: str, predicted: str) -> None:
    row = result_row(log(score, status=status), FACTS, BINARY)
    assert row["decision"] == decision
    assert row["predicted_class"] == predicted
    assert row["status"] == (status or "OK")
    assert row["score"] == pytest.approx(score)
    assert (row["file"], row["patient"]) == ("p-1.png", "p")


def test_answers_of_another_task_are_refused() -> None:
    with pytest.raises(PneumoError, match="2 probabilities for 3 classes"):
        result_row(log(0.5), FACTS, THREE_CLASS)


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1])
def test_every_row_is_written(count: int, tmp_path: Path) -> None:
    row = result_row(log(0.7), FACTS, BINARY)
    rows = ({**row, "sha256": f"{i}"} for i in range(count))
    found = write(tmp_path / FILE, rows, BINARY.classes)
    table = pq.read_table(tmp_path / FILE)
    assert table.num_rows == count == found.total()
    assert table.schema.equals(schema())
    assert json.loads(table.schema.metadata[b"classes"]) == list(BINARY.classes)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_logs_and_ids_are_read_back(tmp_path: Path) -> None:
    names = ["a-1.png", "a-2.png", "b-1.png"]
    with tf.io.TFRecordWriter(str(tmp_path / "logs.gz"), "GZIP") as out:
        for name in names:
            out.write(log(0.5, name).SerializeToString())
    with tf.io.TFRecordWriter(str(tmp_path / "records.gz"), "GZIP") as out:
        for name in names:
            out.write(records.example(records.values(b"pixels", "unknown", name)))
    rows = [
        result_row(one, FACTS, BINARY) for one in read_prediction_logs([str(tmp_path / "logs.gz")])
    ]
    assert [row["file"] for row in rows] == names
    assert read_ids([str(tmp_path / "records.gz")]) == Counter(row["sha256"] for row in rows)


@pytest.mark.parametrize(
    ("given", "answered", "words"),
    [
        ("aab", "ab", "1 of 3 records have no prediction and 0"),
        ("ab", "abb", "0 of 2 records have no prediction and 1"),
        ("a", "b", "1 of 1 records have no prediction and 1"),
    ],
)
def test_a_lost_record_is_noticed(given: str, answered: str, words: str) -> None:
    with pytest.raises(PneumoError, match=words):
        reconcile(Counter(given), Counter(answered))
    assert reconcile(Counter(given), Counter(given[::-1])) == len(given)
