"""Checks every backbone: its table entry, embedding, training, export and serving.

Not named test_*.py, because it takes an hour; run it with `make test-all`.
"""

import gc
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core.models.backbone_weights import resolve_weights
from core.models.backbones import (
    BACKBONES,
    TOP,
    build_network,
    freeze_batch_norm,
    preprocess,
    split_backbone,
)
from core.models.detector.feature_pyramid import build_feature_pyramid
from core.models.options import ModelOptions
from core.training.options import TrainingOptions
from schema.labels import BINARY
from tests.support.models.backbones import check_parts
from tests.support.models.transformed import Site, write_site

SIZE = 80  # every network accepts 75 and more
SPLITS = {"train": 16, "val": 6}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"), SPLITS, SIZE)


@pytest.fixture(autouse=True)
def _small_memory() -> Iterator[None]:
    yield
    keras.backend.clear_session()
    gc.collect()


@pytest.mark.parametrize("name", BACKBONES)
def test_table_entry_is_that_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Keras constructor supplies file name, digest and default size; the download is mocked."""
    from keras.src.applications import imagenet_utils
    from keras.src.utils import file_utils

    requested: dict[str, Any] = {"size": 224}  # MobileNetV3 does not pass its own
    shape_of = imagenet_utils.obtain_input_shape

    def shape(*args: Any, **settings: Any) -> Any:
        requested["size"] = settings["default_size"]
        return shape_of(*args, **settings)

    def get_file(fname: str, _: str, **settings: Any) -> str:
        requested.update(file=fname, digest=settings.get("file_hash") or "")
        return fname

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", shape)
    monkeypatch.setattr(file_utils, "get_file", get_file)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: None)
    # The weight file of a MobileNet depends on the size; the table has that of the default size.
    size = BACKBONES[name].default_size if name.startswith("MobileNet") else SIZE
    getattr(keras.applications, name)(
        include_top=False, weights="imagenet", input_shape=(size, size, 3)
    )
    backbone = BACKBONES[name]
    assert (requested["file"], requested["digest"]) == (backbone.weight_file, backbone.weight_hash)
    # The default size of a MobileNet is one of the sizes with published weights.
    assert requested["size"] == backbone.default_size


def write_weights(name: str, images: np.ndarray, file: Path) -> Path:
    """Writes random weights with batch normalization statistics of the images, as a Keras file.

    As in a trained network, the activations of every layer are then of order one. With the initial
    statistics (mean 0, variance 1) they shrink from layer to layer until only rounding remains.

    Args:
      name: key of `BACKBONES`.
      images: gray, [n, SIZE, SIZE, 1] in 0..255.
      file: destination.
    """
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    keras.utils.set_random_seed(0)
    network = build_network(name, SIZE, None)
    norms = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.momentum = 0.0  # statistics of a single batch
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    if norms:
        network(preprocess(name, images.astype(np.float32)), training=True)
    with h5py.File(file, "w") as store:
        save_weights_to_hdf5_group(store, network)
    return file


# The smallest network of each family and its minimum size.
SMALLEST = {
    "InceptionV3": 75,
    "VGG16": 32,
    "Xception": 71,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "DenseNet121": 32,
    "NASNetMobile": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
}


@pytest.mark.parametrize(("name", "size"), SMALLEST.items())
def test_both_parts_equal_the_keras_network(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_parts(name, size, monkeypatch)


def test_freezing_includes_nested_networks() -> None:
    _, upper = split_backbone("NASNetMobile", 32, None, "default")
    assert upper is not None
    assert freeze_batch_norm(upper) > 10
    assert not any("gamma" in v.path for v in upper.trainable_variables)


def test_level_with_two_tensors_is_rejected() -> None:
    with pytest.raises(
        ValueError, match="NASNetMobile has no single feature map at 'normal_concat_9'"
    ):
        build_feature_pyramid("NASNetMobile", 32, None, ("default", TOP))


@pytest.mark.parametrize("name", BACKBONES)
def test_embed_train_export_serve(name: str, site: Site, tmp_path: Path) -> None:
    # In a separate process, because TensorFlow never frees the gradient of a traced swish and its
    # graph.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(embed_train_export_serve, name, site, tmp_path).result()


def embed_train_export_serve(name: str, site: Site, tmp_path: Path) -> None:
    """Runs a network from its weight file to served predictions."""
    import pyarrow.parquet as pq
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.trainer.run_fn import run_fn
    from core.embedding.embed import embed_split
    from core.embedding.forward import build_forward
    from core.metrics.options import EvaluationOptions
    from core.training.data.transformed_images import transformed_images
    from serving.predict.local_model import load_model, predict_files

    layer = BACKBONES[name].default_layer
    images = next(iter(transformed_images([site.examples["train"]], SIZE, SPLITS["train"])))[0]
    file = write_weights(name, images.numpy(), tmp_path / BACKBONES[name].weight_file)
    model = ModelOptions(backbone=name, weights=str(file), image_size=SIZE)
    weights = resolve_weights(model)
    forward = build_forward(name, SIZE, weights.file, layer, "float32", seed=0)
    embedded = {}
    for split in SPLITS:
        folder = tmp_path / "embedded" / f"Split-{split}"
        embed_split(
            transformed_images([site.examples[split]], SIZE, 8),
            forward,
            folder,
            split,
            storage="float32",
            metadata={"compute": "float32"},
        )
        embedded[split] = [f"{folder}/*"]
    del forward
    training = TrainingOptions.model_validate(
        {
            "epochs": 1,
            "batch_size": 8,
            "embedding": {"storage": "float32", "batch_size": 8},
            "fine_tune": {
                "epochs": 1,
                "batch_size": 16,
                "source": "cache",
                "learning_rate": 1e-5,
            },
        }
    )
    model_dir, run_dir = tmp_path / "model", tmp_path / "run"
    run_fn(
        FnArgs(
            train_files=embedded["train"],
            eval_files=embedded["val"],
            transform_output=str(site.graph),
            serving_model_dir=str(model_dir),
            model_run_dir=str(run_dir),
            custom_config={
                "name": "every",
                "model": model.model_dump(mode="json"),
                "training": training.model_dump(mode="json"),
                "evaluation": EvaluationOptions().model_dump(mode="json"),
                "weights": weights.to_dict(),
                "task": BINARY.to_dict(),
                "image_size": SIZE,
                "layer": layer,
                "synthetic": True,
                "checkpoints": str(tmp_path / "checkpoints"),
            },
        )
    )
    summary = json.loads((run_dir / "training.json").read_text())
    assert summary["layer"] == layer
    assert 0 < summary["parameters"]["trainable"] < summary["parameters"]["total"]
    phases = json.loads((run_dir / "history" / "0.json").read_text())["phases"]
    assert {phase: len(curves["loss"]) for phase, curves in phases.items()} == {
        "head": 1,
        "fine_tune": 1,
    }
    assert all(np.isfinite(curves["val_loss"]).all() for curves in phases.values())
    # The exported model predicts the same from image files as in training.
    served = list(predict_files(load_model(model_dir), site.images["val"]))
    assert not any(prediction.error for prediction in served)
    predicted = {
        Path(prediction.file).stem: list(prediction.probabilities.values()) for prediction in served
    }
    table = pq.read_table(run_dir / "val_predictions.parquet").to_pylist()
    assert {row["filename"] for row in table} == set(predicted)
    assert np.ptp([row["score"] for row in table]) > 1e-4  # not all equal
    for row in table:
        assert sum(predicted[row["filename"]]) == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(predicted[row["filename"]], row["probabilities"], atol=2e-3)
