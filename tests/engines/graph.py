"""The nodes of the graph that work with Beam, and what they wrote, record by record.

    python -m tests.engines.graph RECORDS MODEL FOLDER [BEAM ARGUMENTS]

MODEL is a SavedModel; the nodes in between, which train, are left out.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

# What is compared: node -> folder of its records below FOLDER/artifacts.
NODES = (
    "ImportExampleGen", "StatisticsGen", "ExampleValidator", "Transform", "Evaluator",
    "BulkInferrer",
)  # fmt: skip
SIZE = 64  # of the small model


def beam_graph(records: Path, model: Path, folder: Path) -> Any:
    """As in `pipeline.pipeline.create_pipeline`, with a model that is there already."""
    import tensorflow_data_validation as tfdv
    import tfx.v1 as tfx

    from components.evaluation.eval_config import eval_config
    from components.evaluation.options import EvaluationOptions
    from pipeline.pipeline import SCHEMA_FILE

    splits = [
        tfx.proto.Input.Split(name=name, pattern=f"{name}-*.tfrecord")
        for name in ("train", "val", "test")
    ]
    example_gen = tfx.components.ImportExampleGen(
        input_base=str(records), input_config=tfx.proto.Input(splits=splits)
    )
    examples = example_gen.outputs["examples"]
    schema_gen = tfx.components.ImportSchemaGen(schema_file=str(SCHEMA_FILE))
    schema = schema_gen.outputs["schema"]
    statistics = tfx.components.StatisticsGen(
        examples=examples,
        schema=schema,
        stats_options=tfdv.StatsOptions(enable_semantic_domain_stats=True),
    )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema
    )
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="components.transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "val"]),
        custom_config={"image_size": SIZE, "fit": "stretch"},
    )
    importer = tfx.dsl.Importer(
        source_uri=str(model), artifact_type=tfx.types.standard_artifacts.Model
    ).with_id("model")
    evaluator = tfx.components.Evaluator(
        examples=examples,
        model=importer.outputs["result"],
        schema=schema,
        example_splits=["test"],
        eval_config=eval_config(EvaluationOptions()),
    )
    inferrer = tfx.components.BulkInferrer(
        examples=examples,
        model=importer.outputs["result"],
        model_spec=tfx.proto.ModelSpec(model_signature_name=["examples"]),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="engines",
        pipeline_root=str(folder / "artifacts"),
        components=[
            example_gen, schema_gen, statistics, validator, transform, importer, evaluator,
            inferrer,
        ],
    )  # fmt: skip


def run(records: Path, model: Path, folder: Path, beam_args: Sequence[str] = ()) -> list[Any]:
    """Runs the nodes; returns their results."""
    import tfx.v1  # noqa: F401  before TFDV

    from pipeline.runners.local import run_nodes

    folder.mkdir(parents=True, exist_ok=True)
    placed = folder.parent / "model" / "Format-Serving"
    if not placed.exists():
        shutil.copytree(model, placed)
    graph = beam_graph(records, placed.parent, folder)
    return run_nodes(
        graph,
        folder / "metadata.sqlite",
        lambda name, number, of: print(f"{number}/{of} {name} ...", flush=True),
        lambda node: print(f"{node.name} {node.seconds:.1f} s", flush=True),
        beam_args,
    )


def lines(folder: Path, node: str, output: str) -> dict[str, list[bytes]]:
    """Split -> the sorted records of a node's output, each in one canonical form.

    A record is a proto with maps in it, and no two processes write a map in the same order: it is
    read field by field and written again with sorted keys. No value is rounded.
    """
    import tensorflow as tf

    found: dict[str, list[bytes]] = {}
    for path in sorted((folder / "artifacts" / node / output).rglob("*.gz")):
        split = next((x for x in path.parts if x.startswith("Split-")), output)
        for record in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
            found.setdefault(split, []).append(canonical(record, output))
    return {split: sorted(of) for split, of in found.items()}


def canonical(record: bytes, output: str) -> bytes:
    """One record with sorted keys."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    def example(data: bytes) -> bytes:
        return tf.train.Example.FromString(data).SerializeToString(deterministic=True)

    if output != "inference_result":
        return example(record)
    log = prediction_log_pb2.PredictionLog.FromString(record)
    (asked,) = log.predict_log.request.inputs.values()
    for i, data in enumerate(asked.string_val):
        asked.string_val[i] = example(data)
    return log.SerializeToString(deterministic=True)


def statistics(folder: Path) -> dict[str, Any]:
    """Split -> feature -> its statistics."""
    from tensorflow_metadata.proto.v0 import statistics_pb2 as pb

    found = {}
    for path in sorted((folder / "artifacts" / "StatisticsGen").rglob("FeatureStats.pb")):
        (data,) = pb.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
        found[path.parent.name] = {
            "/".join(feature.path.step): feature for feature in data.features
        } | {"examples": data.num_examples}
    return found


def metrics(folder: Path) -> dict[tuple[str, str], float]:
    """(Slice, metric) -> value that Evaluator found."""
    import tensorflow_model_analysis as tfma

    (where,) = (folder / "artifacts" / "Evaluator" / "evaluation").iterdir()
    found = {}
    for name, of in tfma.load_eval_result(str(where)).slicing_metrics:
        for output in of.values():
            for sub_key in output.values():
                for metric, value in sub_key.items():
                    if "doubleValue" in value:
                        found[str(name), metric] = float(value["doubleValue"])
    return found


if __name__ == "__main__":
    where = [Path(text).resolve() for text in sys.argv[1:4]]
    run(*where, sys.argv[4:])
