"""Output of Transform, written without a run of the graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support import records


@dataclass(frozen=True)
class Site:
    """Output of Transform.

    Attributes:
      graph: output of Transform.
      examples: split -> pattern of transformed records.
      images: split -> phantoms as PNG files.
    """

    graph: Path
    examples: dict[str, str]
    images: dict[str, list[Path]]


def write_site(folder: Path, splits: Mapping[str, int], size: int, files: int = 1) -> Site:
    """Transforms phantoms.

    Args:
      folder: destination; contains `Split-NAME` folders like an Examples artifact.
      splits: split -> number of images.
      size: image side, pixels.
      files: number of record files per split.
    """
    import tfx.v1  # noqa: F401, I001  before TFT and TFDV
    import apache_beam as beam
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
    from tfx_bsl.public import tfxio

    from core.phantom.dataset import draw_image
    from core.phantom.cohort import cohort
    from components.transform.preprocessing import preprocessing_fn
    from pipeline.pipeline import SCHEMA_FILE

    patients = iter([patient for patient, _ in cohort(5, 60)])
    rows: dict[str, list[dict[str, Any]]] = {}
    images: dict[str, list[Path]] = {}
    for split, n in splits.items():
        rows[split], images[split] = [], []
        for i in range(n):
            patient = next(patients)
            file = folder / f"{split}-{i}.png"
            Image.fromarray(draw_image(5, patient, 0, 128).pixels).save(file)
            rows[split].append(records.values(file.read_bytes(), patient.pathogen, file.stem))
            images[split].append(file)
        records.write(str(folder / f"{split}.tfrecord"), rows[split])
    schema = text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema())
    source = tfxio.TFExampleRecord(
        str(folder / "train.tfrecord"), schema=schema, telemetry_descriptors=["tests"]
    )
    config = {"image_size": size, "fit": "stretch"}
    with beam.Pipeline() as pipeline, tft_beam.Context(str(folder / "tmp")):
        raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        fn = raw | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        fn | tft_beam.WriteTransformFn(str(folder / "graph"))
    metadata_io.write_metadata(
        dataset_metadata.DatasetMetadata(schema), str(folder / "graph" / "metadata")
    )
    output = tft.TFTransformOutput(str(folder / "graph"))
    layer, spec = output.transform_features_layer(), output.raw_feature_spec()
    examples: dict[str, str] = {}
    for split, split_rows in rows.items():
        split_folder = folder / "examples" / f"Split-{split}"
        split_folder.mkdir(parents=True)
        for part in range(files):
            file = split_folder / f"transformed-{part:02}.gz"
            with tf.io.TFRecordWriter(str(file), "GZIP") as out:
                for row in split_rows[part::files]:
                    parsed = tf.io.parse_example([records.example(row)], spec)
                    features = {
                        name: value.numpy().ravel()[0]
                        for name, value in layer(parsed).items()
                        if not isinstance(value, tf.SparseTensor)  # boxes
                    }
                    row_features = {
                        k: v if isinstance(v, bytes) else v.item() for k, v in features.items()
                    }
                    out.write(records.example(row_features))
        examples[split] = f"{split_folder}/*"
    return Site(folder / "graph", examples, images)
