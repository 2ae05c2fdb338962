import keras
import numpy as np
import pytest
import tensorflow as tf

from core.models.backbones import split_backbone
from core.models.classifier import ClassifierNetwork, EnsembleMember
from core.models.head import build_head
from core.models.options import ModelOptions


def head(channels: int, seed: int) -> keras.Model:
    model = build_head(
        np.zeros(channels, np.float32),
        np.ones(channels, np.float32),
        3,
        ModelOptions(dense=(4,)),
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("pooling", ["avg", "max", "both"])
def test_logits_of_each_member(pooling: str) -> None:
    channels = 2560 if pooling == "both" else 1280
    keras.utils.set_random_seed(0)
    lower, upper = split_backbone("MobileNetV2", 32, None, "block_16_expand")
    assert upper is not None
    other = keras.models.clone_model(upper)
    members = (
        EnsembleMember(lower, head(channels, 0), upper),
        EnsembleMember(lower, head(channels, 1), other),
    )
    network = ClassifierNetwork(members, pooling)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    logits = network(tf.constant(pixels)).numpy()
    assert logits.shape == (2, 2, 3)
    for i in range(2):
        alone = ClassifierNetwork((members[i],), pooling)(tf.constant(pixels)).numpy()
        np.testing.assert_allclose(logits[:, i], alone[:, 0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(logits[:, 0], logits[:, 1])
    assert network.size == 32
    assert network.count_params() == sum(
        model.count_params() for model in (lower, upper, other, *(m.head for m in members))
    )
    assert len(network.variables) == len({id(v) for v in network.variables})


def test_frozen_backbone_is_shared() -> None:
    lower, none = split_backbone("MobileNetV2", 32, None, "top")
    assert none is None
    network = ClassifierNetwork(
        tuple(EnsembleMember(lower, head(1280, s)) for s in range(3)), "avg"
    )
    assert network(tf.zeros((1, 32, 32, 1))).shape == (1, 3, 3)
    heads = sum(member.head.count_params() for member in network.members)
    assert network.count_params() == lower.count_params() + heads
