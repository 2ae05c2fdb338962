"""Writes and reads a Transform graph and a SavedModel with a small network."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schema.labels import PATHOGENS, THREE_CLASS
from tests.support.images.synthetic import FORMS

SIZE = 40
MEMBERS = 2
BAND = (0.45, 0.7)
TEMPERATURE, THRESHOLD = 0.5, 0.66


@dataclass(frozen=True)
class Small:
    """A network of random weights, the same in every process.

    Attributes:
      maps: pixels -> feature maps.
      backbone: pixels -> pooled features.
      network: pixels -> logits [n, MEMBERS, 3].
    """

    maps: Any
    backbone: Any
    network: Any

    @classmethod
    def make(cls) -> "Small":
        import keras

        keras.utils.set_random_seed(3)
        maps = keras.Sequential(
            [
                keras.Input((SIZE, SIZE, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(4, 3, activation="relu", padding="same", strides=2),
            ]
        )
        backbone = keras.Sequential([maps, keras.layers.GlobalAveragePooling2D()])
        network = keras.Sequential(
            [backbone, keras.layers.Dense(3 * MEMBERS), keras.layers.Reshape((MEMBERS, 3))]
        )
        return cls(maps, backbone, network)

    def explain(self, pixels: Any) -> Any:
        """Explains without logits, so the SavedModel runs the network for them."""
        import tensorflow as tf

        from core.models.explain.explanation import Explanation
        from core.models.explain.weak_boxes import weak_boxes

        heat = tf.clip_by_value(self.maps(pixels, training=False)[..., 0], 0.0, 1.0)
        return Explanation(heat, *weak_boxes(heat, 0.8))


@dataclass(frozen=True)
class Exported:
    """The exported model and its inputs.

    Attributes:
      folder: the SavedModel.
      contents: image files in every form.
      examples: serialized records of them.
      transformed: rows that the Transform pipeline materialized.
      fit: "stretch", "pad" or "crop".
      small: the network that was exported.
      graph: folder of the Transform graph.
    """

    folder: Path
    contents: list[bytes]
    examples: list[bytes]
    transformed: list[dict[str, Any]]
    fit: str
    small: Small
    graph: Path

    @property
    def network(self) -> Any:
        return self.small.network

    @property
    def backbone(self) -> Any:
        return self.small.backbone

    @property
    def explain(self) -> Any:
        return self.small.explain

    @property
    def transform(self) -> Any:
        import tensorflow_transform as tft

        return tft.TFTransformOutput(str(self.graph))


def rows() -> list[dict[str, Any]]:
    from tests.support import records

    return [
        records.values(make(), PATHOGENS[i % len(PATHOGENS)], f"{name}-{i}")
        for i, (name, make) in enumerate(FORMS.items())
    ]


def main(arguments: list[str]) -> None:
    """Transforms images of every form and exports a small network: FOLDER FIT."""
    import tfx.v1  # noqa: F401, I001  before TFT and TFDV
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
    from tfx_bsl.public import tfxio

    from core.images.resize_tf import from_png
    from components.transform.preprocessing import preprocessing_fn
    from pipeline.pipeline import SCHEMA_FILE
    from serving.export.saved_model import export
    from core.models.decision_rule import DecisionRule
    from core.images.rules import ImageLimits
    from tests.support import records

    folder, fit = Path(arguments[0]), arguments[1]
    folder.mkdir(parents=True)
    records.write(str(folder / "raw.tfrecord"), rows())
    schema = text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema())
    source = tfxio.TFExampleRecord(
        str(folder / "raw.tfrecord"), schema=schema, telemetry_descriptors=["tests"]
    )
    config = {"image_size": SIZE, "fit": fit}
    with beam.Pipeline() as pipeline, tft_beam.Context(str(folder / "tmp")):
        raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        (data, _), fn = raw | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing_fn(inputs, config), output_record_batches=True
        )
        fn | tft_beam.WriteTransformFn(str(folder / "graph"))
        _ = (
            data
            | beam.FlatMapTuple(lambda batch, _: batch.to_pylist())
            | beam.Map(repr)
            | beam.io.WriteToText(str(folder / "transformed"), shard_name_template="")
        )
    # As TFX's Transform does.
    metadata_io.write_metadata(
        dataset_metadata.DatasetMetadata(schema), str(folder / "graph" / "metadata")
    )
    small = Small.make()
    export(
        lambda pixels: small.network(pixels, training=False),
        small.network.variables,
        SIZE,
        tft.TFTransformOutput(str(folder / "graph")),
        THREE_CLASS,
        str(folder / "model"),
        decode_png=lambda png: from_png(png, SIZE),
        features=lambda pixels: small.backbone(pixels, training=False),
        limits=ImageLimits(min_side=1, check_content=False),  # every form
        decision=DecisionRule(TEMPERATURE, THRESHOLD, BAND),
        metadata={"seeds": [3]},
        explain=small.explain,
    )


def read(folder: Path, fit: str) -> Exported:
    from tests.support import records

    lines = (folder / "transformed").read_text().splitlines()
    return Exported(
        folder / "model",
        [row["image/encoded"] for row in rows()],
        [records.example(row) for row in rows()],
        [ast.literal_eval(line) for line in lines],
        fit,
        Small.make(),
        folder / "graph",
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def eager(exported: Exported) -> np.ndarray:
    """Returns the input pixels of the network."""
    import tensorflow as tf

    from core.images.decode_tf import decode_gray
    from core.images.resize_tf import resize_gray

    return np.stack(
        [
            resize_gray(decode_gray(tf.constant(content)), SIZE, exported.fit).numpy()
            for content in exported.contents
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
