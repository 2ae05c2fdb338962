"""Heat maps and weak boxes of an exported classifier."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.export import _build_explain_fn
from core.embedding.records import ImageRecords, ragged_boxes
from core.embedding.store import Embeddings
from core.models.classifier import ClassifierNetwork, EnsembleMember
from core.models.decision_rule import DecisionRule
from core.models.explain.heat_threshold import FRACTIONS, MIN_IMAGES
from core.models.explain.weak_boxes import DEFAULT_FRACTION
from core.models.head import build_head
from core.models.options import ModelOptions
from schema.labels import BINARY

SIZE = 32


def brightness_network() -> ClassifierNetwork:
    """Returns a network whose heat is the brightness of the image."""
    backbone = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Rescaling(1 / 255),
        ]
    )
    head = build_head(np.zeros(1, np.float32), np.ones(1, np.float32), 2, ModelOptions(dense=()))
    head.set_weights([np.array([[0.0, 9.0]]), np.zeros(2)])
    return ClassifierNetwork((EnsembleMember(backbone, head),), "avg")


def validation(n: int, boxed: bool, height: int, width: int, unboxed: Any = None) -> Embeddings:
    """Returns embeddings of bright squares on black, padded to the model's square."""
    rng = np.random.default_rng(0)
    pixels, boxes = np.zeros((n, SIZE, SIZE, 1), np.uint8), []
    frame = np.array([SIZE * height, SIZE * width]) // max(height, width)
    border = (SIZE - frame) // 2
    for i in range(n):
        top, left = (border + rng.integers(0, frame - 8, 2) // 4 * 4).tolist()
        pixels[i, top : top + 8, left : left + 8] = 255
        edges = np.array([top, left, top + 8, left + 8])
        boxes.append([(edges - np.tile(border, 2)) / np.tile(frame, 2)])
    names = np.array([f"i{i}" for i in range(n)])
    records = ImageRecords(
        names,
        names,
        names,
        np.array(["unknown"] * n),
        names,
        np.full(n, height),
        np.full(n, width),
        np.full(n, 9.0, np.float32),
        ragged_boxes(boxes),
    )
    sample = (pixels, np.arange(n)) if boxed else None
    return Embeddings((), (), records, {}, boxed_sample=sample, unboxed_sample=unboxed)


def job(fit: str) -> Any:
    return SimpleNamespace(task=BINARY, size=SIZE, model=SimpleNamespace(fit=fit))


@pytest.mark.parametrize("height, width, fit", [(32, 32, "stretch"), (32, 64, "pad")])
def test_heat_threshold_is_chosen_on_images_with_boxes(height: int, width: int, fit: str) -> None:
    val = validation(20, True, height, width)
    explain, info = _build_explain_fn(brightness_network(), job(fit), DecisionRule(1.0, 0.5), val)
    assert info["kind"] == "weak"
    assert info["threshold"] in FRACTIONS
    assert info["chosen"]["images"] == 20
    assert info["chosen"]["score"] > 0.6
    assert info["image_threshold"] == 0.5
    assert val.boxed_sample is not None
    explanation = explain(tf.constant(val.boxed_sample[0], tf.float32))
    assert (explanation.box_scores.numpy()[:, 0] > 0).all()


def test_reference_map_of_negative_images() -> None:
    """A bright corner of every image has no heat, because negative images have it, too."""
    val = validation(20, True, 32, 32)
    assert val.boxed_sample is not None
    pixels = val.boxed_sample[0]
    pixels[:, 28:, 28:] = 255
    empty = np.zeros_like(pixels)
    empty[:, 28:, 28:] = 255
    # Rows 0 to 14 are normal; the others are not and must not enter the reference.
    val.records.pathogen[:15] = "normal"
    empty[15:] = 255
    with_unboxed = replace(val, unboxed_sample=(empty, np.arange(20)))
    explain, info = _build_explain_fn(
        brightness_network(), job("stretch"), DecisionRule(1.0, 0.5), with_unboxed
    )
    assert info["reference_images"] == 15
    heat = explain(tf.constant(pixels, tf.float32)).heat.numpy()
    assert heat[:, 7, 7].max() < 1e-6
    without, info = _build_explain_fn(
        brightness_network(), job("stretch"), DecisionRule(1.0, 0.5), val
    )
    assert info["reference_images"] == 0
    assert without(tf.constant(pixels, tf.float32)).heat.numpy()[:, 7, 7].min() > 0.1


@pytest.mark.parametrize("n, boxed", [(20, False), (MIN_IMAGES - 1, True)])
def test_default_threshold_has_a_note(n: int, boxed: bool) -> None:
    val = validation(n, boxed, 32, 32)
    _, info = _build_explain_fn(brightness_network(), job("stretch"), DecisionRule(1.0, 0.5), val)
    assert info["threshold"] == DEFAULT_FRACTION
    assert info["chosen"]["note"]
