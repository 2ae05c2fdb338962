"""An ensemble over two backbones, from images to the SavedModel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components.trainer.run_fn import run_fn
from core.embedding.records import parse_records
from core.metrics.calibration import fit_temperature, softmax
from core.training.data.targets import class_targets
from schema.labels import BINARY
from schema.model_folder import MODEL_INFO
from tests.support.models.transformed import Site, write_site

SIZE = 32
MEMBERS = [
    {"backbone": "MobileNetV2", "trainable_from": "block_16_expand", "view_size": SIZE},
    {"backbone": "MobileNet", "trainable_from": "top", "weights": "random"},
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"), {"train": 18, "val": 12}, SIZE)


def train(site: Site, folder: Path, **changes: Any) -> Path:
    """Writes the SavedModel to `model` and the training record to `run`."""
    options = {
        "name": "members",
        "evaluation": {},
        "weights": {"kind": "random"},
        "task": BINARY.to_dict(),
        "image_size": SIZE,
        "layer": "block_16_expand",
        "synthetic": True,
        "checkpoints": str(folder / "states"),
        **changes,
    }
    run_fn(
        FnArgs(
            train_files=[site.examples["train"]],
            eval_files=[site.examples["val"]],
            transform_output=str(site.graph),
            serving_model_dir=str(folder / "model"),
            model_run_dir=str(folder / "run"),
            custom_config=options,
        )
    )
    return folder


@pytest.fixture(scope="module")
def trained(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the SavedModel in `model` and the training record in `run`."""
    folder = tmp_path_factory.mktemp("trained")
    tune = {"source": "images", "epochs": 1, "batch_size": 8, "mixup": 0.4, "cutmix": 1.0}
    model = {"weights": "random", "image_size": SIZE, "members": MEMBERS}
    return train(
        site,
        folder,
        model={**model, "test_time_augmentation": {"scales": [1.0, 0.875], "flip": True}},
        training={"epochs": 2, "seeds": [0, 7], "fine_tune": tune},
        member_weights=[{"kind": "deferred", "file": "random"}, {"kind": "random"}],
    )


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_training_record(trained: Path) -> None:
    training = read(trained / "run" / "training.json")
    assert training["backbone"] == "MobileNetV2 + MobileNet"
    assert [(one["backbone"], one["seed"]) for one in training["members"]] == [
        ("MobileNetV2", 0),
        ("MobileNetV2", 7),
        ("MobileNet", 0),
        ("MobileNet", 7),
    ]
    assert [one["layer"] for one in training["backbones"]] == ["block_16_expand", "top"]
    assert [bool(one["fine_tune"]) for one in training["backbones"]] == [True, False]
    assert {one["weights"]["kind"] for one in training["backbones"]} == {"random"}
    assert "fine_tune" not in training["members"][2]["seconds"]
    assert training["forward_passes"] == 4
    assert np.shape(training["log_odds_correlation"]) == (4, 4)
    histories = {file.stem for file in (trained / "run" / "history").iterdir()}
    assert histories == {"MobileNetV2-0", "MobileNetV2-7", "MobileNet-0", "MobileNet-7"}
    assert not list((trained / "states").rglob("*.npz"))
    described = read(trained / "model" / MODEL_INFO)
    assert described["backbone"] == training["backbone"]
    assert [one["temperature"] for one in described["members"]] == [
        one["temperature"] for one in training["members"]
    ]


def test_model_predicts_the_mean_of_calibrated_probabilities(trained: Path, site: Site) -> None:
    model = tf.saved_model.load(str(trained / "model"))
    files = [file.read_bytes() for file in site.images["val"]]
    explained = model.signatures["explain"](tf.constant(files))
    served = model.signatures["serving_default"](tf.constant(files))["probabilities"].numpy()
    np.testing.assert_allclose(explained["probabilities"].numpy(), served, atol=1e-5)
    training = read(trained / "run" / "training.json")
    table = pq.read_table(trained / "run" / "val_predictions.parquet")
    members = np.array(table["members"].to_pylist()).reshape(len(files), 4, 2)
    raw = np.array(table["raw"].to_pylist())
    np.testing.assert_allclose(raw, members.mean(axis=1), atol=1e-12)
    expected = softmax(np.log(raw), training["calibration"]["temperature"])
    np.testing.assert_allclose(served, expected, atol=1e-4)
    # The logits of a member up to a constant; its temperature was fitted to them.
    paths = sorted(tf.io.gfile.glob(site.examples["val"]))
    records = list(tf.data.TFRecordDataset(paths, "GZIP").as_numpy_iterator())
    names = parse_records(tf.constant(records))["pathogen"].numpy().astype(str)
    targets = class_targets(names, BINARY)
    for i, member in enumerate(training["members"]):
        fitted = fit_temperature(member["temperature"] * np.log(members[:, i]), targets)
        assert fitted == pytest.approx(member["temperature"], rel=1e-2)


def test_heat_maps_have_the_finest_grid(trained: Path, site: Site) -> None:
    model = tf.saved_model.load(str(trained / "model"))
    files = [file.read_bytes() for file in site.images["val"]]
    outputs = model.signatures["explain"](tf.constant(files))
    heat, score = outputs["heatmap"].numpy(), outputs["score"].numpy()
    assert np.isfinite(heat).all()
    assert (heat.max(axis=(1, 2)) <= score + 1e-5).all()
    embedding = model.signatures["embed"](tf.constant(files))["embedding"]
    assert embedding.shape[1] == 1280 + 1024


def test_distillation_approaches_the_teacher(
    trained: Path, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A frozen head that learns from the ensemble alone is nearer to it than one of the labels."""
    model = {"backbone": "MobileNetV2", "weights": "random", "image_size": SIZE}
    tune = {"source": "images", "trainable_from": "top"}
    training = {"epochs": 30, "patience": 30, "learning_rate": 0.01, "fine_tune": tune}
    distill = {"teacher": str(trained / "model"), "weight": 1.0, "temperature": 2.0}
    files = tf.constant([file.read_bytes() for file in site.images["train"]])

    def scores(folder: Path) -> np.ndarray:
        served = tf.saved_model.load(str(folder / "model")).signatures["serving_default"](files)
        training = read(folder / "run" / "training.json")
        log = np.log(served["probabilities"].numpy()) * training["calibration"]["temperature"]
        return softmax(log)

    taught = train(
        site, tmp_path / "a", layer="top", model=model, training={**training, "distill": distill}
    )
    alone = train(site, tmp_path / "b", layer="top", model=model, training=training)
    teacher = tf.saved_model.load(str(trained / "model")).signatures["serving_default"](files)
    expected = teacher["probabilities"].numpy()
    losses = [-(expected * np.log(scores(one))).sum(axis=1).mean() for one in (taught, alone)]
    assert losses[0] < losses[1]
    assert not [one for one in caplog.records if "teacher" in one.message]
    assert read(taught / "run" / "training.json")["distill"] == {**distill, "teacher": "model"}
