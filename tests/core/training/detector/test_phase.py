"""The detector phase from stored embeddings to the exported network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.embedding.embed import embed_split
from core.embedding.forward import build_forward
from core.embedding.records import BOXES
from core.embedding.store import Embeddings, read_embeddings
from core.images.boxes import fit_boxes
from core.images.resize_tf import resize_gray
from core.models.classifier import ClassifierNetwork, EnsembleMember, feature_moments
from core.models.decision_rule import DecisionRule
from core.models.detector.network import DetectorNetwork, build_detector_explain_fn
from core.models.detector.score_fusion import ScoreFusion
from core.models.head import build_head, select_pooling
from core.models.options import AugmentOptions
from core.training.detector.phase import (
    CalibratedDetector,
    TrainedDetectors,
    calibrate_detector,
    fit_detectors,
)
from core.training.job import Job
from core.training.loop.curves import OutputPaths
from core.training.options import TrainerOptions
from schema import features as f
from schema.labels import LOCATE
from serving.export.difference import difference

SIZE, LAYER, N = 48, "conv_dw_11_relu", 24
HEIGHT, WIDTH = 60, 90


def job(**detector: Any) -> Job:
    options = {"levels": [LAYER, "top"], "channels": 8, "upsample": 1, "epochs": 2, "batch_size": 8}
    return Job.resolve(
        TrainerOptions.model_validate(
            {
                "name": "x",
                "model": {
                    "backbone": "MobileNet",
                    "weights": "random",
                    "fit": "pad",
                    "image_size": SIZE,
                    "detector": {**options, **detector},
                },
                "training": {"seeds": [0, 1]},
                "evaluation": {},
                "weights": {"kind": "random", "file": "", "sha256": ""},
                "task": LOCATE.to_dict(),
                "image_size": SIZE,
                "layer": "top",
                "synthetic": True,
                "checkpoints": "",
            }
        )
    )


def draw_images() -> tuple[np.ndarray, np.ndarray]:
    """Returns images, two thirds of them with a bright rectangle, and their boxes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (N, HEIGHT, WIDTH, 1)).astype(np.uint8)
    boxes = np.full((N, 1, 4), np.nan, np.float32)
    for i in range(N):
        if i % 3:
            top, left = rng.integers(0, 30), rng.integers(0, 50)
            images[i, top : top + 20, left : left + 30] += 150
            edges = np.array([top, left, top + 20, left + 30])
            boxes[i, 0] = edges / [HEIGHT, WIDTH, HEIGHT, WIDTH]
    return images, boxes


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Embeddings, np.ndarray]:
    images, boxes = draw_images()
    pixels = tf.stack([resize_gray(tf.constant(image), SIZE, "pad") for image in images])
    identity = {
        **{name: tf.constant([f"{name}{i}" for i in range(N)]) for name in f.RECORD_STRINGS},
        f.IMAGE_HEIGHT: tf.fill([N], tf.constant(HEIGHT, tf.int64)),
        f.IMAGE_WIDTH: tf.fill([N], tf.constant(WIDTH, tf.int64)),
        f.STATS_MEAN: tf.fill([N], 1.0),
        BOXES: tf.constant(boxes),
    }
    folder = tmp_path_factory.mktemp("embedded")
    batches: Any = [(pixels, identity)]
    embed_split(
        batches,
        build_forward("MobileNet", SIZE, None, LAYER, "float32"),
        folder,
        "train",
        storage="float32",
        views=1,
        augment=AugmentOptions(),
        seed=1,
        fit="pad",
    )
    return read_embeddings(folder), pixels.numpy()


def network(trainer_job: Job, split: Embeddings) -> ClassifierNetwork:
    lower, _ = trainer_job.backbone.split()
    scaling = feature_moments(select_pooling(split.features[0], "avg"))
    heads = [
        build_head(*scaling, 2, trainer_job.model, seed=seed) for seed in trainer_job.training.seeds
    ]
    for head in heads:  # a new head predicts equal probabilities
        head.set_weights(
            [np.random.default_rng(3).normal(0, 0.01, w.shape) for w in head.get_weights()]
        )
    return ClassifierNetwork(tuple(EnsembleMember(lower, head) for head in heads), "avg")


FUSION = ScoreFusion(0.7, 1.5, 0.3)


def fitted(
    trainer_job: Job, split: Embeddings, folder: Path
) -> tuple[TrainedDetectors, CalibratedDetector]:
    outputs = {
        seed: OutputPaths(folder / "states", folder / "logs") for seed in trainer_job.training.seeds
    }
    trained = fit_detectors(
        trainer_job, network(trainer_job, split), split, split, folder / "scratch", outputs
    )
    score = np.linspace(0.2, 0.9, N)
    return trained, calibrate_detector(trainer_job, trained, FUSION, split, score)


def test_boxes_of_each_view_are_stored(embedded: tuple[Embeddings, np.ndarray]) -> None:
    split, _ = embedded
    _, boxes = draw_images()
    assert len(split.boxes) == len(split.maps) == 2
    assert split.records.box_counts.tolist() == [int(i % 3 > 0) for i in range(N)]
    for i in np.flatnonzero(split.records.box_counts):
        expected = fit_boxes(boxes[i], HEIGHT, WIDTH, "pad", SIZE)
        np.testing.assert_allclose(split.boxes[0][i], expected, atol=1e-6)
    moved = [i for i in range(1, N, 3) if len(split.boxes[1][i])]
    assert any(not np.allclose(split.boxes[0][i], split.boxes[1][i]) for i in moved)


@pytest.mark.parametrize(
    "detector",
    [{}, {"levels": [LAYER]}, {"train_backbone": True}],
    ids=["two levels", "one level", "trained backbone"],
)
def test_exported_network_agrees_with_validation(
    detector: dict[str, Any], embedded: tuple[Embeddings, np.ndarray], tmp_path: Path
) -> None:
    split, pixels = embedded
    trainer_job = job(**detector)
    trained, calibrated = fitted(trainer_job, split, tmp_path)
    network = calibrated.network
    assert set(trained.curves) == {0, 1}
    assert calibrated.saved_model_info["kind"] == "detector"
    assert calibrated.summary["choice"] == {
        key: value
        for key, value in calibrated.saved_model_info.items()
        if key not in ("kind", "nms_iou", "evidence")
    }
    explain = build_detector_explain_fn(
        network, LOCATE, DecisionRule(), calibrated.operating_point, calibrated.nms_iou
    )
    explanation = explain(tf.constant(pixels, tf.float32))
    assert explanation.logits is not None
    np.testing.assert_allclose(
        explanation.logits, network(tf.constant(pixels, tf.float32)), atol=1e-5
    )
    # Logits from stored activations, fused, equal those of the exported network.
    at_top = [tf.cast(network.pyramid(tf.constant(pixels, tf.float32))[-1], tf.float32)]
    head_logits = network.network.logits_of(at_top * 2).numpy()
    np.testing.assert_allclose(
        explanation.logits, FUSION.fuse(head_logits, trained.strongest), rtol=1e-3, atol=1e-3
    )
    # The boxes are the same; scores differ, because `fitted` uses made-up probabilities.
    for i, boxes in enumerate(calibrated.boxes):
        exists = explanation.box_scores[i].numpy() >= 0
        assert exists.sum() == len(boxes)
        expected_boxes = fit_boxes(boxes, HEIGHT, WIDTH, "pad", SIZE)
        inside = (boxes > 0).all() and (boxes < 1).all()  # not clipped at the border
        if inside:
            np.testing.assert_allclose(
                explanation.boxes[i].numpy()[exists], expected_boxes, atol=1e-4
            )
    folded = network.folded()
    assert isinstance(folded, DetectorNetwork)
    assert difference(network, folded, SIZE) < 1e-5
    explain_folded = build_detector_explain_fn(
        folded, LOCATE, DecisionRule(), calibrated.operating_point, calibrated.nms_iou
    )
    np.testing.assert_allclose(
        explain_folded(tf.constant(pixels, tf.float32)).heat, explanation.heat, atol=1e-4
    )
    np.testing.assert_allclose(
        folded.features(tf.constant(pixels, tf.float32)),
        select_pooling(split.features[0], "avg"),
        rtol=1e-3,
        atol=1e-4,
    )
    names = [variable.path for variable in network.variables]
    assert len(network.variables) == len({id(v) for v in network.variables}) >= len(set(names))


def test_embeddings_without_maps_or_boxes_are_rejected(
    embedded: tuple[Embeddings, np.ndarray], tmp_path: Path
) -> None:
    from dataclasses import replace

    split, _ = embedded
    trainer_job = job()
    for without in (replace(split, maps=()), replace(split, boxes=())):
        with pytest.raises(ValueError, match="maps and boxes"):
            fit_detectors(trainer_job, network(trainer_job, split), without, split, tmp_path, {})
