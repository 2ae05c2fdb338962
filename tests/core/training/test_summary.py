import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.models.backbones import split_backbone
from core.models.classifier import ClassifierNetwork, EnsembleMember
from core.models.head import build_head
from core.models.options import ModelOptions
from core.training.summary import model_summary, pooling_and_head

LAYERS = {
    "avg": ["avg_pooling"],
    "max": ["max_pooling"],
    "both": ["avg_pooling", "max_pooling", "concatenate"],
}


def network(pooling: str, layer: str) -> ClassifierNetwork:
    channels = 2560 if pooling == "both" else 1280
    keras.utils.set_random_seed(0)
    lower, upper = split_backbone("MobileNetV2", 32, None, layer)
    moments = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    heads = [build_head(*moments, 3, ModelOptions(dense=(4,)), seed=seed) for seed in (0, 1)]
    return ClassifierNetwork(tuple(EnsembleMember(lower, head, upper) for head in heads), pooling)


@pytest.mark.parametrize("layer", ["top", "block_16_expand"])
@pytest.mark.parametrize("pooling", LAYERS)
def test_pooling_and_head_come_before_the_backbone(pooling: str, layer: str) -> None:
    text = model_summary(network(pooling, layer))
    names = [line for line in text.splitlines() if line.startswith("Model: ")]
    assert names[0] == 'Model: "pooling_and_head"'
    assert len(names) == (2 if layer == "top" else 3)  # the frozen part once for both members
    first = text.split("Model: ")[1]
    for name in (*LAYERS[pooling], "dense_0", "logits"):
        assert re.search(rf"\b{name}\b", first)
    assert text.splitlines()[-1] == "members of the ensemble: 2"


@pytest.mark.parametrize("pooling", LAYERS)
def test_the_summarized_layers_compute_the_logits(pooling: str) -> None:
    both = network(pooling, "top")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    activations = both.activations(tf.constant(pixels))
    expected = both.logits_of(activations).numpy()
    for i, member in enumerate(both.members):
        logits = pooling_and_head(member, pooling)(activations[i], training=False)
        np.testing.assert_allclose(logits, expected[:, i], rtol=1e-4, atol=1e-5)
