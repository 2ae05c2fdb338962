"""Class activation maps take the log-odds apart without a rest; Grad-CAM agrees where both are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.models.backbones import split_backbone
from core.models.classifier import ClassifierNetwork, EnsembleMember
from core.models.decision_rule import DecisionRule
from core.models.explain.cam import class_activation_map, distribute, is_linear, log_odds
from core.models.explain.explain_fn import (
    build_explain_fn,
    contribution_map,
    heat_map,
    reference_map,
)
from core.models.explain.explanation import MAX_BOXES
from core.models.explain.gradcam import grad_cam
from core.models.head import build_head, pool
from core.models.options import ModelOptions
from schema.labels import BINARY, THREE_CLASS, TWO_STAGE, Task

CHANNELS = 6
FOUR = Task("four", ("a", "b", "c", "d"), {}, positive=(0, 3))


def head(
    of: Task, pooling: str, dense: tuple[int, ...] = (), seed: int = 0, channels: int = CHANNELS
) -> keras.Model:
    rng = np.random.default_rng(seed)
    width = channels * (2 if pooling == "both" else 1)
    made = build_head(
        rng.normal(size=width).astype(np.float32),
        rng.uniform(0.5, 2, width).astype(np.float32),
        len(of.classes),
        ModelOptions(dense=dense),
        of.two_stage,
        of.positive,
        seed,
    )
    made.set_weights([rng.normal(size=w.shape) for w in made.get_weights()])
    return made


def activation(n: int = 5, seed: int = 1, relu: bool = True) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(n, 3, 4, CHANNELS)).astype(np.float32)
    return np.maximum(found, 0) if relu else found


@pytest.mark.parametrize("pooling", ["avg", "max", "both"])
@pytest.mark.parametrize("of", [BINARY, THREE_CLASS, TWO_STAGE, FOUR], ids=lambda of: of.name)
@pytest.mark.parametrize("relu", [True, False])
def test_the_map_and_the_bias_are_the_log_odds(pooling: str, of: Task, relu: bool) -> None:
    of_head, places = head(of, pooling), activation(relu=relu)
    found, bias = class_activation_map(of_head, tf.constant(places), pooling, of)
    assert found.shape == places.shape[:3]
    logits = of_head(pool(tf.constant(places), pooling), training=False)
    odds = log_odds(logits, of).numpy()
    # The probability of the positive side is the sigmoid of just that.
    share = tf.nn.softmax(logits).numpy()[:, list(of.positive)].sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), share, rtol=1e-5)
    np.testing.assert_allclose(found.numpy().sum(axis=(1, 2)) + bias.numpy(), odds, atol=2e-5)
    # And it is not so by the bias alone.
    assert np.abs(found.numpy().sum(axis=(1, 2))).min() > 1e-3


@pytest.mark.parametrize("of", [BINARY, TWO_STAGE], ids=lambda of: of.name)
def test_with_one_number_for_a_side_the_bias_is_that_of_all_images(of: Task) -> None:
    _, bias = class_activation_map(head(of, "avg"), tf.constant(activation()), "avg", of)
    np.testing.assert_allclose(bias.numpy(), bias.numpy()[0], rtol=1e-6)


def test_a_place_tells_what_taking_it_away_changes() -> None:
    """Average pooling, one class a side: darkening a place takes its own part away, no other."""
    of_head, places = head(BINARY, "avg"), activation()
    found, _ = class_activation_map(of_head, tf.constant(places), "avg", BINARY)
    without = places.copy()
    without[:, 1, 2] = 0

    def odds(of: np.ndarray) -> np.ndarray:
        return log_odds(of_head(pool(tf.constant(of), "avg"), training=False), BINARY).numpy()

    np.testing.assert_allclose(odds(places) - odds(without), found.numpy()[:, 1, 2], atol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max", "both"])
@pytest.mark.parametrize("of", [BINARY, THREE_CLASS, TWO_STAGE], ids=lambda of: of.name)
def test_grad_cam_of_a_linear_head_is_its_class_activation_map(pooling: str, of: Task) -> None:
    of_head, places = head(of, pooling), tf.constant(activation())
    exact, _ = class_activation_map(of_head, places, pooling, of)
    by_gradient = grad_cam(of_head, places, pooling, of)
    np.testing.assert_allclose(by_gradient, exact, rtol=1e-4, atol=1e-5)


def test_grad_cam_weighs_channels_as_published() -> None:
    """Average pooling: the gradient with respect to the activation, averaged over places."""
    of_head, places = head(BINARY, "avg", dense=(5,)), tf.constant(activation())
    with tf.GradientTape() as tape:
        tape.watch(places)
        odds = log_odds(of_head(pool(places, "avg"), training=False), BINARY)
    weights = tf.reduce_mean(tape.gradient(odds, places), axis=[1, 2])
    expected = tf.einsum("nhwc,nc->nhw", places, weights)
    np.testing.assert_allclose(grad_cam(of_head, places, "avg", BINARY), expected, atol=1e-5)


def test_hidden_layers_are_noticed() -> None:
    assert is_linear(head(BINARY, "avg"))
    assert not is_linear(head(BINARY, "avg", dense=(5,)))
    with pytest.raises(ValueError, match="Grad-CAM"):
        class_activation_map(head(BINARY, "avg", (5,)), tf.constant(activation()), "avg", BINARY)


def test_a_maximum_in_two_places_is_shared() -> None:
    places = np.zeros((1, 2, 2, 1), np.float32)
    places[0, 0, 0] = places[0, 1, 1] = 4
    found = distribute(tf.constant(places), tf.constant([[0.5]]), "max").numpy()
    np.testing.assert_array_equal(found[0], [[1, 0], [0, 1]])


def test_the_hottest_place_is_as_hot_as_the_image_is_probable() -> None:
    maps = tf.constant([[[1.0, 4.0]], [[-1.0, -2.0]], [[0.0, 0.0]], [[2.0, -9.0]]])
    found = heat_map(maps, tf.constant([0.8, 0.9, 0.9, 0.02])).numpy()
    expected = [[[0.2, 0.8]], [[0.0, 0.0]], [[0.0, 0.0]], [[0.02, 0.0]]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.fixture(scope="module", params=["shared", "own"])
def network(request: pytest.FixtureRequest) -> ClassifierNetwork:
    """Two members, shared backbone or own blocks: a linear head and one with a hidden layer."""
    keras.utils.set_random_seed(0)
    lower, upper = split_backbone(
        "MobileNetV2", 64, None, "top" if request.param == "shared" else "block_16_expand"
    )
    other = keras.models.clone_model(upper) if upper is not None else None
    heads = [head(THREE_CLASS, "avg", dense, seed, 1280) for seed, dense in ((0, ()), (1, (4,)))]
    return ClassifierNetwork(
        lower, (EnsembleMember(heads[0], upper), EnsembleMember(heads[1], other)), "avg"
    )


def pixels(n: int = 3) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).uniform(0, 255, (n, 64, 64, 1)), tf.float32)


def test_an_ensemble_is_explained_by_the_mean(network: ClassifierNetwork) -> None:
    activations = network.activations(pixels())
    found = contribution_map(network, activations, THREE_CLASS)
    alone = [
        contribution_map(ClassifierNetwork(network.lower, (member,), "avg"), [of], THREE_CLASS)
        for member, of in zip(network.members, activations, strict=True)
    ]
    np.testing.assert_allclose(found, (alone[0] + alone[1]) / 2, atol=1e-5)
    exact, bias = class_activation_map(network.members[0].head, activations[0], "avg", THREE_CLASS)
    np.testing.assert_array_equal(alone[0], exact)
    odds = log_odds(network(pixels())[:, 0], THREE_CLASS)
    np.testing.assert_allclose(tf.reduce_sum(exact, [1, 2]) + bias, odds, rtol=1e-4, atol=1e-4)


def test_the_explainer_answers_as_the_network_does(network: ClassifierNetwork) -> None:
    explain = tf.function(
        build_explain_fn(network, THREE_CLASS, DecisionRule(2.0, 0.0)), autograph=False
    )
    found = explain(pixels())
    np.testing.assert_allclose(found.logits, network(pixels()), rtol=1e-4, atol=1e-4)
    assert found.heat.shape == (3, 2, 2)
    assert found.boxes.shape == (3, MAX_BOXES, 4)
    assert found.box_scores.shape == (3, MAX_BOXES)
    heat, scores = found.heat.numpy(), found.box_scores.numpy()
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert (scores[:, 0] <= heat.max(axis=(1, 2)) + 1e-6).all()
    assert (scores[:, 0] > 0).all()
    never = build_explain_fn(network, THREE_CLASS, DecisionRule(2.0, 1.1))(pixels())
    np.testing.assert_array_equal(never.box_scores, np.full((3, MAX_BOXES), -1))
    np.testing.assert_array_equal(never.boxes, np.zeros((3, MAX_BOXES, 4)))


def test_what_every_image_says_is_no_heat(network: ClassifierNetwork) -> None:
    """Heat is what goes beyond the mean evidence of the reference."""
    several = np.random.default_rng(5).integers(0, 256, (5, 64, 64, 1), np.uint8)
    reference = reference_map(network, THREE_CLASS, several, batch_size=2)
    maps = contribution_map(
        network, network.activations(tf.constant(several, tf.float32)), THREE_CLASS
    )
    np.testing.assert_allclose(reference, maps.numpy().mean(axis=0), atol=1e-4)
    explain = build_explain_fn(network, THREE_CLASS, DecisionRule(1.0, 0.0), reference=reference)
    found = explain(pixels())
    own = contribution_map(network, network.activations(pixels()), THREE_CLASS)
    np.testing.assert_allclose(
        found.heat, heat_map(own - reference, found.heat.numpy().max(axis=(1, 2))), atol=1e-4
    )


def test_a_folded_network_is_explained_alike(network: ClassifierNetwork) -> None:
    """Batch norm with statistics that matter, folded into the convolutions."""
    rng = np.random.default_rng(3)
    for model in (network.lower, *(member.upper for member in network.members)):
        for weight in model.weights if model is not None else []:
            if "moving_mean" in weight.path or "beta" in weight.path:
                weight.assign(rng.normal(0, 0.1, weight.shape))
            elif "moving_variance" in weight.path or "gamma" in weight.path:
                weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    folded = network.folded()
    one = contribution_map(network, network.activations(pixels()), THREE_CLASS).numpy()
    other = contribution_map(folded, folded.activations(pixels()), THREE_CLASS).numpy()
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4 * np.abs(one).max())
