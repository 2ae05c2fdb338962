"""Boxes pass through Transform unchanged."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from schema import features as f
from tests.support import records
from tests.support.images.synthetic import FORMS

BOXES = {
    "some": [[], [[0.0, 0.25, 0.5, 1.0]], [[0.25, 0.25, 0.5, 0.5], [0.5, 0.0, 1.0, 0.75]]],
    "no column": [None, None],
    "in one record": [None, [[0.0, 0.25, 0.5, 1.0]]],
}


@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES.keys())
def test_boxes_pass_through_and_are_optional(
    boxes: list[list[list[float]] | None], tmp_path: Path
) -> None:
    import tfx.v1  # noqa: F401, I001  before TFT and TFDV
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.coders import example_coder
    from tfx_bsl.public import tfxio

    from core.embedding.records import ImageRecords, parse_records
    from components.transform.preprocessing import preprocessing_fn
    from pipeline.pipeline import SCHEMA_FILE

    content = next(iter(FORMS.values()))()
    rows = []
    for i, image_boxes in enumerate(boxes):
        row = records.values(content, "normal", f"name-{i}")
        for edge, name in enumerate(f.BOX_EDGES):
            del row[name]
            if image_boxes is not None:
                row[name] = [box[edge] for box in image_boxes]
        rows.append(row)
    records.write(str(tmp_path / "raw.tfrecord"), rows)
    schema = text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema())
    source = tfxio.TFExampleRecord(
        str(tmp_path / "raw.tfrecord"), schema=schema, telemetry_descriptors=["tests"]
    )
    config = {"image_size": 32, "fit": "stretch"}
    with beam.Pipeline() as pipeline, tft_beam.Context(str(tmp_path / "tmp")):
        raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        (data, _), _ = raw | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing_fn(inputs, config), output_record_batches=True
        )
        _ = (
            data
            | beam.FlatMapTuple(
                lambda batch, _: example_coder.RecordBatchToExamplesEncoder().encode(batch)
            )
            | beam.io.WriteToTFRecord(str(tmp_path / "transformed"), shard_name_template="")
        )
    transformed = list(tf.data.TFRecordDataset(str(tmp_path / "transformed")).as_numpy_iterator())
    result = ImageRecords.from_batches([parse_records(tf.constant(transformed))])
    by_name = dict(zip(result.filename.tolist(), result.boxes, strict=True))
    for i, image_boxes in enumerate(boxes):
        expected = np.reshape(image_boxes or [], (-1, 4))
        np.testing.assert_array_equal(by_name[f"name-{i}"], expected)
    assert f.IMAGE_PNG in tf.train.Example.FromString(transformed[0]).features.feature
