"""Writes a SavedModel with a small random network: `python -m tests.support.models.small_model`."""

import sys
import tempfile
from pathlib import Path

SIZE = 64


def write_small_model(folder: Path, seed: int = 3) -> None:
    """Writes a version of a model: Transform graph, training, export, on phantoms."""
    import tfx.v1  # noqa: F401, I001  before TFT and TFDV
    import apache_beam as beam
    import keras
    import numpy as np
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
    from tfx_bsl.public import tfxio

    from core.models.explain.explain_fn import build_explain_fn
    from core.models.head import build_head
    from core.models.classifier import EnsembleMember, ClassifierNetwork, feature_moments
    from core.models.options import ModelOptions
    from core.images.decode_tf import decode_gray
    from core.images.resize_tf import from_png, resize_gray
    from components.transform.preprocessing import preprocessing_fn
    from pipeline.pipeline import SCHEMA_FILE
    from schema import features as f
    from schema.labels import THREE_CLASS
    from serving.export.saved_model import export
    from core.models.decision_rule import DecisionRule
    from tests.support import records

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        rows = [
            records.values(content, pathogen, f"phantom-{i}")
            for i, (content, pathogen) in enumerate(
                zip(phantoms(work, 6), ("normal", "bacteria", "virus") * 2, strict=True)
            )
        ]
        records.write(str(work / "raw.tfrecord"), rows)
        schema = text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema())
        source = tfxio.TFExampleRecord(
            str(work / "raw.tfrecord"), schema=schema, telemetry_descriptors=["tests"]
        )
        config = {"image_size": SIZE, "fit": "stretch"}
        with beam.Pipeline() as pipeline, tft_beam.Context(str(work / "tmp")):
            raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
            _, fn = raw | tft_beam.AnalyzeAndTransformDataset(
                lambda inputs: preprocessing_fn(inputs, config), output_record_batches=True
            )
            fn | tft_beam.WriteTransformFn(str(work / "graph"))
        metadata_io.write_metadata(
            dataset_metadata.DatasetMetadata(schema), str(work / "graph" / "metadata")
        )
        keras.utils.set_random_seed(seed)
        backbone = keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            ]
        )
        images = [
            resize_gray(decode_gray(tf.constant(r[f.IMAGE_ENCODED])), SIZE, "stretch") for r in rows
        ]
        features = tf.reduce_mean(backbone(tf.cast(tf.stack(images), tf.float32)), [1, 2]).numpy()
        # Standardized as in the Trainer, so the decisions differ.
        head = build_head(*feature_moments(features), 3, ModelOptions(dense=()))
        rng = np.random.default_rng(seed)
        kernel, bias = (rng.normal(size=weight.shape) for weight in head.get_weights())
        head.set_weights([kernel, bias - [3, 0, 0]])  # gives images of each decision
        network = ClassifierNetwork((EnsembleMember(backbone, head),), "avg")
        decision = DecisionRule(1.0, 0.66, (0.6, 0.7))
        export(
            network,
            network.variables,
            SIZE,
            tft.TFTransformOutput(str(work / "graph")),
            THREE_CLASS,
            str(folder),
            decode_png=lambda png: from_png(png, SIZE),
            features=network.features,
            decision=decision,
            metadata={"name": "small", "seeds": [seed]},
            explain=build_explain_fn(network, THREE_CLASS, decision),
        )


def phantoms(work: Path, n: int, size: int = 128) -> list[bytes]:
    """Returns the content of n synthetic radiograph files."""
    from core.phantom.dataset import write_phantoms

    write_phantoms(work / "phantoms", n, 1, size=size)
    files = sorted((work / "phantoms").rglob("*.jpeg"), key=lambda file: file.name)
    return [file.read_bytes() for file in files[:n]]


def main(arguments: list[str]) -> None:
    write_small_model(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
