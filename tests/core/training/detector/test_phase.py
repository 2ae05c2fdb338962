"""The phase as a whole, from stored embeddings to what is exported."""

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
from core.images.decode_tf import resize_gray
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


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Displayed images, two thirds with a bright rectangle, and their boxes."""
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
    images, boxes = drawn()
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


def network(of: Job, split: Embeddings) -> ClassifierNetwork:
    lower, _ = of.backbone.split()
    scaling = feature_moments(select_pooling(split.features[0], "avg"))
    heads = [build_head(*scaling, 2, of.model, seed=seed) for seed in of.training.seeds]
    for head in heads:  # a new head is undecided; this one says something
        head.set_weights(
            [np.random.default_rng(3).normal(0, 0.01, w.shape) for w in head.get_weights()]
        )
    return ClassifierNetwork(lower, tuple(EnsembleMember(head, None) for head in heads), "avg")


EVIDENCE = ScoreFusion(0.7, 1.5, 0.3)


def fitted(of: Job, split: Embeddings, folder: Path) -> tuple[TrainedDetectors, CalibratedDetector]:
    outputs = {seed: OutputPaths(folder / "states", folder / "logs") for seed in of.training.seeds}
    trained = fit_detectors(of, network(of, split), split, split, folder / "scratch", outputs)
    score = np.linspace(0.2, 0.9, N)
    return trained, calibrate_detector(of, trained, EVIDENCE, split, score)


def test_the_boxes_of_each_view_are_stored(embedded: tuple[Embeddings, np.ndarray]) -> None:
    split, _ = embedded
    _, boxes = drawn()
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
    ids=["two levels", "one level", "the backbone learns too"],
)
def test_what_is_exported_answers_as_validation_did(
    detector: dict[str, Any], embedded: tuple[Embeddings, np.ndarray], tmp_path: Path
) -> None:
    split, pixels = embedded
    of = job(**detector)
    trained, found = fitted(of, split, tmp_path)
    network = found.network
    assert set(trained.curves) == {0, 1}
    assert found.about["kind"] == "detector"
    assert found.summary["choice"] == {
        key: value
        for key, value in found.about.items()
        if key not in ("kind", "nms_iou", "evidence")
    }
    explain = build_detector_explain_fn(
        network, LOCATE, DecisionRule(), found.choice, found.nms_iou
    )
    explanation = explain(tf.constant(pixels, tf.float32))
    assert explanation.logits is not None
    np.testing.assert_allclose(
        explanation.logits, network(tf.constant(pixels, tf.float32)), atol=1e-5
    )
    # What was stored of validation, joined there, is what the exported network says of pixels.
    at_top = [tf.cast(network.pyramid(tf.constant(pixels, tf.float32))[-1], tf.float32)]
    alone = network.network.logits_of(at_top * 2).numpy()
    np.testing.assert_allclose(
        explanation.logits, EVIDENCE.fuse(alone, trained.strongest), rtol=1e-3, atol=1e-3
    )
    # The same boxes; scores differ, as the probabilities given to the phase were made up.
    for i, boxes in enumerate(found.boxes):
        there = explanation.box_scores[i].numpy() >= 0
        assert there.sum() == len(boxes)
        shown = fit_boxes(boxes, HEIGHT, WIDTH, "pad", SIZE)
        inside = (boxes > 0).all() and (boxes < 1).all()  # not layer at the border of the picture
        if inside:
            np.testing.assert_allclose(explanation.boxes[i].numpy()[there], shown, atol=1e-4)
    folded = network.folded()
    assert isinstance(folded, DetectorNetwork)
    assert difference(network, folded, SIZE) < 1e-5
    again = build_detector_explain_fn(folded, LOCATE, DecisionRule(), found.choice, found.nms_iou)
    np.testing.assert_allclose(
        again(tf.constant(pixels, tf.float32)).heat, explanation.heat, atol=1e-4
    )
    np.testing.assert_allclose(
        folded.features(tf.constant(pixels, tf.float32)),
        select_pooling(split.features[0], "avg"),
        rtol=1e-3,
        atol=1e-4,
    )
    names = [variable.path for variable in network.variables]
    assert len(network.variables) == len({id(v) for v in network.variables}) >= len(set(names))


def test_embeddings_without_maps_are_refused(
    embedded: tuple[Embeddings, np.ndarray], tmp_path: Path
) -> None:
    from dataclasses import replace

    split, _ = embedded
    of = job()
    for without in (replace(split, maps=()), replace(split, boxes=())):
        with pytest.raises(ValueError, match="maps and boxes"):
            fit_detectors(of, network(of, split), without, split, tmp_path, {})
