"""The node on a small SavedModel, loaded in a process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from PIL import Image
from tfx.components.pusher import executor as pusher
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import Predictions
from components.endpoint_validator.executor import Executor
from components.endpoint_validator.verdict import VERDICT
from components.evaluation import table
from schema.errors import PneumoError
from schema.labels import BINARY
from tests.support import records
from tests.support.images import encode, gray

IMAGES = {f"p{i}-1.png": encode(Image.fromarray(gray(seed=i)), "PNG") for i in range(5)}
FACTS = {"task": BINARY.to_dict(), "threshold": 0.5, "band": None, "temperature": 1.0}


class Brightness(tf.Module):
    """Its score is a function of the mean gray level, of the length where it is told to lie."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = tf.Variable(shift)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def mean(content: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.cast(tf.io.decode_png(content, 1), tf.float32))

        level = tf.map_fn(mean, image_bytes, fn_output_signature=tf.float32)
        score = tf.sigmoid((level - 128) / 4) + self.shift
        return {
            "probabilities": tf.stack([1 - score, score], axis=1),
            "score": score,
            "decision": tf.where(score >= 0.5, "POSITIVE", "NEGATIVE"),
        }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    module = Brightness()
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures=module.serve)
    return folder


def run(tmp_path: Path, model: Path, scores: dict[str, float], **given: Any) -> Any:
    """Runs the node; `scores` is what the Scorer says of each file."""
    rows = [records.values(content, "normal", name) for name, content in IMAGES.items()]
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["test"])
    split = tmp_path / "examples" / "Split-test"
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(split / "data.gz"), "GZIP") as out:
        for row in rows[: given.get("kept", len(rows))]:
            out.write(records.example(row))
    predictions = Predictions()
    predictions.uri = str(tmp_path / "predictions")
    Path(predictions.uri).mkdir()
    columns = {name: [] for name in table.schema().names}  # type: dict[str, list[Any]]
    for row in rows:
        score = scores[row["image/filename"]]
        known = {
            "sha256": row["image/sha256"], "filename": row["image/filename"], "score": score,
            "probabilities": [1 - score, score],
        }  # fmt: skip
        for field in table.schema():
            columns[field.name].append(known.get(field.name))
    table.write(tmp_path / "predictions" / table.FILE, iter([columns]))
    (tmp_path / "predictions" / table.FILE).with_suffix(".json").write_text(json.dumps(FACTS))
    candidate, gate = standard_artifacts.Model(), standard_artifacts.ModelBlessing()
    candidate.uri = str(model)
    gate.set_int_custom_property("blessed", int(given.get("gate", True)))
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path / "blessing")
    Executor().Do(
        {"model": [candidate], "examples": [examples], "predictions": [predictions],
         "model_blessing": [gate]},
        {"blessing": [blessing]},
        {"how": "savedmodel", "split": "test", "images": 4},
    )  # fmt: skip
    return blessing


def told(blessing: Any) -> dict[str, Any]:
    return json.loads((Path(blessing.uri) / VERDICT).read_text())


def passes(blessing: Any) -> bool:
    """What TFX's Pusher itself asks."""
    return pusher.Executor().CheckBlessing({"infra_blessing": [blessing]})


@pytest.fixture(scope="module")
def scores(model: Path) -> dict[str, float]:
    loaded = tf.saved_model.load(str(model / "Format-Serving")).signatures["serving_default"]
    answer = loaded(image_bytes=tf.constant(list(IMAGES.values())))
    return dict(zip(IMAGES, answer["score"].numpy().tolist(), strict=True))


def test_a_model_that_answers_as_it_was_scored_is_blessed(
    tmp_path: Path, model: Path, scores: dict[str, float]
) -> None:
    blessing = run(tmp_path, model, scores)
    found = told(blessing)
    assert found["blessed"], found["reasons"]
    assert passes(blessing)
    assert len(found["images"]) == 4
    assert found["how"] == "savedmodel"
    assert (tmp_path / "blessing" / "INFRA_BLESSED").is_file()


def test_an_altered_table_of_predictions_is_noticed(
    tmp_path: Path, model: Path, scores: dict[str, float]
) -> None:
    blessing = run(tmp_path, model, {name: score * 0.9 for name, score in scores.items()})
    assert not passes(blessing)
    (reason,) = told(blessing)["reasons"]
    assert "the Scorer had" in reason
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").is_file()


def test_a_model_that_cannot_be_loaded_is_refused(tmp_path: Path, scores: dict[str, float]) -> None:
    broken = tmp_path / "broken" / "Format-Serving"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"not a graph")
    blessing = run(tmp_path, broken.parent, scores)
    assert not passes(blessing)
    (reason,) = told(blessing)["reasons"]
    assert "the process ended with status 1" in reason


def test_what_the_gate_refused_is_not_started(tmp_path: Path, scores: dict[str, float]) -> None:
    blessing = run(tmp_path, tmp_path / "nothing", scores, gate=False)
    assert not passes(blessing)
    assert told(blessing)["reasons"] == ["Gate: the candidate did not pass it"]


def test_scored_images_that_are_gone_stop_the_run(
    tmp_path: Path, model: Path, scores: dict[str, float]
) -> None:
    with pytest.raises(PneumoError, match="score again"):
        run(tmp_path, model, scores, kept=0)
