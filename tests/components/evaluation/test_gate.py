"""The gate as TFX's Evaluator applies it, on models whose scores are known."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tfx.v1  # noqa: F401  before TFMA, which fails when it is imported first
from google.protobuf import json_format
from tfx.components.evaluator.executor import Executor
from tfx.types import artifact_utils, standard_artifacts

from components.evaluation.eval_config import eval_config
from components.evaluation.options import EvaluationOptions, GateRule
from components.report.gather import gate_rules, tfma_metrics
from pipeline.pipeline import SCHEMA_FILE
from schema import features as f
from tests import records
from tests.images import FORMS


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
        spec = {f.PATHOGEN: tf.io.FixedLenFeature([], tf.string)}
        pathogen = tf.io.parse_example(serialized, spec)[f.PATHOGEN]
        return {f.LABEL: tf.cast(pathogen != "normal", tf.int64)}


def model(folder: Path, slope: float, number: int) -> standard_artifacts.Model:
    known = Known(slope)
    tf.saved_model.save(
        known,
        str(folder / "Format-Serving"),
        signatures={"examples": known.examples, "labels": known.labels},
    )
    artifact = standard_artifacts.Model()
    artifact.uri, artifact.id = str(folder), number
    return artifact


def evaluate(
    folder: Path, gate: dict[str, GateRule], candidate: float, baseline: float | None
) -> tuple[bool, str]:
    """Runs the Evaluator; returns whether it blessed, and the folder of the evaluation."""
    split = folder / "examples" / "Split-test"
    split.mkdir(parents=True)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(split / "data_tfrecord-00000-of-00001.gz"), options) as out:
        for i in range(24):
            pathogen = ("normal", "bacteria", "virus")[i % 3]
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
    inputs: dict[str, list[Any]] = {
        "examples": [examples],
        "schema": [schema],
        "model": [model(folder / "candidate", candidate, 2)],
    }
    if baseline is not None:
        inputs["baseline_model"] = [model(folder / "baseline", baseline, 1)]
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
    config = json_format.MessageToJson(
        eval_config(EvaluationOptions(gate=gate)), preserving_proto_field_name=True
    )
    context = Executor.Context(beam_pipeline_args=[], tmp_dir=str(folder / "tmp"), unique_id="0")
    Executor(context).Do(
        inputs,
        {"evaluation": [evaluation], "blessing": [blessing]},
        {"eval_config": config, "example_splits": json.dumps(["test"])},
    )
    return blessing.get_int_custom_property("blessed") == 1, evaluation.uri


DROP = {"auc": GateRule(min=0.0, max_drop=0.01)}
BOTH = {"auc": GateRule(min=0.8, max_drop=0.01), "specificity": GateRule(min=0.5)}


@pytest.mark.parametrize(
    ("gate", "candidate", "baseline", "blessed", "held"),
    [
        (BOTH, 1.0, None, True, {"auc at least": True, "specificity at least": True}),
        (BOTH, -1.0, None, False, {"auc at least": False, "specificity at least": False}),
        (DROP, -1.0, None, True, {"auc at least": True}),  # nothing to fall behind
        (DROP, 1.0, 1.0, True, {"auc at least": True, "auc change": True}),
        (DROP, 1.0, -1.0, True, {"auc at least": True, "auc change": True}),
        (DROP, -1.0, 1.0, False, {"auc at least": True, "auc change": False}),
        (BOTH, 1.0, 1.0, True,
         {"auc at least": True, "auc change": True, "specificity at least": True}),
    ],
)  # fmt: skip
def test_the_gate(
    gate: dict[str, GateRule],
    candidate: float,
    baseline: float | None,
    blessed: bool,
    held: dict[str, bool],
    tmp_path: Path,
) -> None:
    was, evaluation = evaluate(tmp_path, gate, candidate, baseline)
    assert was is blessed
    rules = gate_rules(evaluation)
    shown = {
        f"{rule['metric']} {'change' if 'change' in rule['kind'] else 'at least'}": rule["ok"]
        for rule in rules
    }
    assert shown == held
    overall = tfma_metrics(evaluation)["overall"]
    assert overall["example_count"] == 24
    assert overall["auc"] == pytest.approx(1.0 if candidate > 0 else 0.0, abs=1e-3)
    for rule in rules:
        if "change" in rule["kind"]:
            assert rule["value"] == pytest.approx((candidate - baseline) / 2, abs=1e-3)
