from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.embedding.records import ImageRecords, parse_records, ragged_boxes
from schema import features as f
from schema.example import encode
from schema.labels import LOCATE

ROW: dict[str, Any] = {
    f.IMAGE_SHA256: "a",
    f.IMAGE_FILENAME: "b",
    f.PATIENT_ID: "c",
    f.PATHOGEN: "normal",
    f.IMAGE_SOURCE: "d",
    f.IMAGE_HEIGHT: 3,
    f.IMAGE_WIDTH: 4,
    f.STATS_MEAN: 1.5,
}


def row(boxes: list[list[float]] | None) -> bytes:
    if boxes is None:
        return encode(ROW)
    return encode(
        {**ROW, **{name: [box[i] for box in boxes] for i, name in enumerate(f.BOX_EDGES)}}
    )


CASES = {
    "without the feature": [None, None],
    "none, one, two": [[], [[0, 0.25, 0.5, 1]], [[0, 0, 1, 1], [0.5, 0.5, 0.75, 0.75]]],
    "mixed": [None, [[0, 0.25, 0.5, 1]]],
    "as many each": [[[0, 0, 1, 1]], [[0, 0.5, 1, 1]]],
}


@pytest.mark.parametrize("boxes_of_records", CASES.values(), ids=CASES.keys())
def test_boxes_are_parsed_written_and_read(
    boxes_of_records: list[list[list[float]] | None], tmp_path: Path
) -> None:
    batches = [parse_records(tf.constant([row(boxes)])) for boxes in boxes_of_records]
    one_batch = parse_records(tf.constant([row(boxes) for boxes in boxes_of_records]))
    for result in (ImageRecords.from_batches(batches), ImageRecords.from_batches([one_batch])):
        result.write(tmp_path)
        for records in (result, ImageRecords.read(tmp_path)):
            assert records.box_counts.tolist() == [len(boxes or []) for boxes in boxes_of_records]
            for boxes, expected in zip(records.boxes, boxes_of_records, strict=True):
                assert boxes.dtype == np.float32
                np.testing.assert_array_equal(boxes, np.reshape(expected or [], (-1, 4)))
    assert set(result.columns()) >= {"sha256", "brightness"}
    assert "boxes" not in result.columns()
    labels = [LOCATE.binary_label("unknown", n) for n in result.box_counts.tolist()]
    assert labels == [int(bool(boxes)) for boxes in boxes_of_records]


def test_missing_boxes_and_wrong_number_of_boxes() -> None:
    names = np.array(["a", "b"])
    numbers = np.array([1, 2])
    records = ImageRecords(names, names, names, names, names, numbers, numbers, numbers)
    assert records.box_counts.tolist() == [0, 0]
    with pytest.raises(ValueError, match="1 sets of boxes for 2"):
        ImageRecords(
            names, names, names, names, names, numbers, numbers, numbers, ragged_boxes([[]])
        )
    assert len(ImageRecords.from_batches([])) == 0
