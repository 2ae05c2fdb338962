"""TFMA through TFX's Evaluator on a model whose scores are known, and what is read back."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tfx.v1  # noqa: F401  before TFMA, which fails when it is imported first
from google.protobuf import json_format
from tfx.components.evaluator.executor import Executor
from tfx.types import artifact_utils, standard_artifacts

from components.evaluator.eval_config import eval_config
from components.gate.component import second_opinion
from core.metrics.options import EvaluationOptions
from core.predictions.tfma_results import tfma_metrics, tfma_rules
from pipeline.pipeline import SCHEMA_FILE
from schema import features as f
from tests.support import records
from tests.support.images.synthetic import FORMS


class Known(tf.Module):
    """Scores an image by its mean brightness: `slope` 1 is perfect here, -1 always wrong."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {f.STATS_MEAN: tf.io.FixedLenFeature([], tf.float32)}
        mean = tf.io.parse_example(serialized, spec)[f.STATS_MEAN]
        return {"score": tf.sigmoid(self.slope * (mean - 128.0) / 10.0)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def labels(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Bacteria is positive, normal negative; a virus has no place in this task."""
        spec = {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
        pathogen = tf.io.parse_example(serialized, spec)[f.PATHOGEN]
        return {
            f.LABEL: tf.cast(pathogen == "bacteria", tf.int64),
            f.WEIGHT: tf.cast(pathogen != "virus", tf.float32),
        }


def evaluate(folder: Path, options: EvaluationOptions, slope: float) -> dict[str, list[Any]]:
    """Runs the Evaluator; returns its outputs."""
    split = folder / "examples" / "Split-test"
    split.mkdir(parents=True)
    gzip = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(split / "data_tfrecord-00000-of-00001.gz"), gzip) as out:
        for i in range(24):
            pathogen = ("normal", "bacteria", "virus")[i % 3]
            # Viruses would all be false alarms if they counted.
            mean = 100.0 + i if pathogen == "normal" else 150.0 + i
            row = records.values(FORMS["png_gray"](), pathogen, f"p{i}-1", **{f.STATS_MEAN: mean})
            out.write(records.example(row))
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = artifact_utils.encode_split_names(["test"])
    schema = standard_artifacts.Schema()
    schema.uri = str(folder / "schema")
    Path(schema.uri).mkdir()
    (Path(schema.uri) / "schema.pbtxt").write_text(SCHEMA_FILE.read_text())
    known, model = Known(slope), standard_artifacts.Model()
    model.uri, model.id = str(folder / "model"), 2
    tf.saved_model.save(
        known,
        str(folder / "model" / "Format-Serving"),
        signatures={"examples": known.examples, "labels": known.labels},
    )
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
    config = json_format.MessageToJson(eval_config(options), preserving_proto_field_name=True)
    context = Executor.Context(beam_pipeline_args=[], tmp_dir=str(folder / "tmp"), unique_id="0")
    Executor(context).Do(
        {"examples": [examples], "schema": [schema], "model": [model]},
        {"evaluation": [evaluation], "blessing": [blessing]},
        {"eval_config": config, "example_splits": json.dumps(["test"])},
    )
    return {"evaluation": [evaluation], "blessing": [blessing]}


GATE = {"auc": {"min": 0.8}, "specificity": {"min": 0.5}}
FIXED = {"rule": "fixed", "threshold": 0.5}
YOUDEN = {"rule": "youden"}


@pytest.mark.parametrize(
    ("gate", "point", "slope", "blessed", "held"),
    [
        (GATE, FIXED, -1.0, False, {"auc": False, "specificity": False}),
        # A threshold that validation chooses is not known to TFMA: the area alone.
        (GATE, YOUDEN, 1.0, True, {"auc": True}),
        # Bounds that TFMA knows nothing of: no verdict.
        ({"pairwise_auc": {"min": 0.5}}, FIXED, 1.0, None, {}),
    ],
)
def test_the_second_opinion(
    gate: dict[str, Any],
    point: dict[str, Any],
    slope: float,
    blessed: bool | None,
    held: dict[str, bool],
    tmp_path: Path,
) -> None:
    outputs = evaluate(tmp_path, EvaluationOptions(gate=gate, operating_point=point), slope)
    opinion = second_opinion(*(outputs[key][0] for key in ("evaluation", "blessing")))
    assert opinion["blessed"] is blessed
    assert {rule["metric"]: rule["ok"] for rule in opinion["rules"]} == held
    uri = outputs["evaluation"][0].uri
    assert opinion["rules"] == tfma_rules(uri)
    overall = tfma_metrics(uri)["overall"]
    assert overall["auc"] == pytest.approx(1.0 if slope > 0 else 0.0, abs=1e-3)
    # The viruses weigh nothing; with them the specificity would be 1/2 at best.
    assert overall["mean_label"] == pytest.approx(0.5)
    assert overall["weighted_example_count"] == 16
    assert ("specificity" in overall) is (point is FIXED)
    if point is FIXED:
        assert overall["specificity"] == pytest.approx(1.0 if slope > 0 else 0.0)
    assert tfma_metrics(uri)["pathogen=bacteria"]["weighted_example_count"] == 8


def test_no_evaluator_no_opinion() -> None:
    assert second_opinion(None, None) is None
