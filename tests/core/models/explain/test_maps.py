from dataclasses import replace

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
    task: Task, pooling: str, dense: tuple[int, ...] = (), seed: int = 0, channels: int = CHANNELS
) -> keras.Model:
    rng = np.random.default_rng(seed)
    width = channels * (2 if pooling == "both" else 1)
    model = build_head(
        rng.normal(size=width).astype(np.float32),
        rng.uniform(0.5, 2, width).astype(np.float32),
        len(task.classes),
        ModelOptions(dense=dense),
        task.two_stage,
        task.positive,
        seed,
    )
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def activation(n: int = 5, seed: int = 1, relu: bool = True) -> np.ndarray:
    result = np.random.default_rng(seed).normal(size=(n, 3, 4, CHANNELS)).astype(np.float32)
    return np.maximum(result, 0) if relu else result


@pytest.mark.parametrize("pooling", ["avg", "max", "both"])
@pytest.mark.parametrize("task", [BINARY, THREE_CLASS, TWO_STAGE, FOUR], ids=lambda task: task.name)
@pytest.mark.parametrize("relu", [True, False])
def test_map_plus_bias_is_the_log_odds(pooling: str, task: Task, relu: bool) -> None:
    model, values = head(task, pooling), activation(relu=relu)
    result, bias = class_activation_map(model, tf.constant(values), pooling, task)
    assert result.shape == values.shape[:3]
    logits = model(pool(tf.constant(values), pooling), training=False)
    odds = log_odds(logits, task).numpy()
    # The probability of the positive classes is the sigmoid of the log-odds.
    share = tf.nn.softmax(logits).numpy()[:, list(task.positive)].sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), share, rtol=1e-5)
    np.testing.assert_allclose(result.numpy().sum(axis=(1, 2)) + bias.numpy(), odds, atol=2e-5)
    # The bias alone does not explain it.
    assert np.abs(result.numpy().sum(axis=(1, 2))).min() > 1e-3


@pytest.mark.parametrize("task", [BINARY, TWO_STAGE], ids=lambda task: task.name)
def test_bias_is_constant_with_one_class_per_side(task: Task) -> None:
    _, bias = class_activation_map(head(task, "avg"), tf.constant(activation()), "avg", task)
    np.testing.assert_allclose(bias.numpy(), bias.numpy()[0], rtol=1e-6)


def test_contribution_of_a_position() -> None:
    """Average pooling, one class per side: zeroing a position removes its contribution only."""
    model, values = head(BINARY, "avg"), activation()
    result, _ = class_activation_map(model, tf.constant(values), "avg", BINARY)
    without = values.copy()
    without[:, 1, 2] = 0

    def odds(task: np.ndarray) -> np.ndarray:
        return log_odds(model(pool(tf.constant(task), "avg"), training=False), BINARY).numpy()

    np.testing.assert_allclose(odds(values) - odds(without), result.numpy()[:, 1, 2], atol=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max", "both"])
@pytest.mark.parametrize("task", [BINARY, THREE_CLASS, TWO_STAGE], ids=lambda task: task.name)
def test_grad_cam_of_a_linear_head_is_the_class_activation_map(pooling: str, task: Task) -> None:
    model, values = head(task, pooling), tf.constant(activation())
    exact, _ = class_activation_map(model, values, pooling, task)
    gradients = grad_cam(model, values, pooling, task)
    np.testing.assert_allclose(gradients, exact, rtol=1e-4, atol=1e-5)


def test_grad_cam_weights_channels_as_published() -> None:
    """Average pooling: the gradient of the activation, averaged over positions."""
    model, values = head(BINARY, "avg", dense=(5,)), tf.constant(activation())
    with tf.GradientTape() as tape:
        tape.watch(values)
        odds = log_odds(model(pool(values, "avg"), training=False), BINARY)
    weights = tf.reduce_mean(tape.gradient(odds, values), axis=[1, 2])
    expected = tf.einsum("nhwc,nc->nhw", values, weights)
    np.testing.assert_allclose(grad_cam(model, values, "avg", BINARY), expected, atol=1e-5)


def test_is_linear() -> None:
    assert is_linear(head(BINARY, "avg"))
    assert not is_linear(head(BINARY, "avg", dense=(5,)))
    with pytest.raises(ValueError, match="Grad-CAM"):
        class_activation_map(head(BINARY, "avg", (5,)), tf.constant(activation()), "avg", BINARY)


def test_maximum_at_two_positions_is_shared() -> None:
    values = np.zeros((1, 2, 2, 1), np.float32)
    values[0, 0, 0] = values[0, 1, 1] = 4
    result = distribute(tf.constant(values), tf.constant([[0.5]]), "max").numpy()
    np.testing.assert_array_equal(result[0], [[1, 0], [0, 1]])


def test_maximum_heat_is_the_probability() -> None:
    maps = tf.constant([[[1.0, 4.0]], [[-1.0, -2.0]], [[0.0, 0.0]], [[2.0, -9.0]]])
    result = heat_map(maps, tf.constant([0.8, 0.9, 0.9, 0.02])).numpy()
    expected = [[[0.2, 0.8]], [[0.0, 0.0]], [[0.0, 0.0]], [[0.02, 0.0]]]
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.fixture(scope="module", params=["shared", "fine-tuned"])
def network(request: pytest.FixtureRequest) -> ClassifierNetwork:
    """Two members: a linear head and one with a hidden layer; backbone shared or fine-tuned."""
    keras.utils.set_random_seed(0)
    lower, upper = split_backbone(
        "MobileNetV2", 64, None, "top" if request.param == "shared" else "block_16_expand"
    )
    other = keras.models.clone_model(upper) if upper is not None else None
    heads = [head(THREE_CLASS, "avg", dense, seed, 1280) for seed, dense in ((0, ()), (1, (4,)))]
    return ClassifierNetwork(
        (EnsembleMember(lower, heads[0], upper), EnsembleMember(lower, heads[1], other)), "avg"
    )


def pixels(n: int = 3) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).uniform(0, 255, (n, 64, 64, 1)), tf.float32)


def test_map_of_an_ensemble_is_the_mean(network: ClassifierNetwork) -> None:
    activations = network.activations(pixels())
    result = contribution_map(network, activations, THREE_CLASS)
    alone = [
        contribution_map(ClassifierNetwork((member,), "avg"), [member_activation], THREE_CLASS)
        for member, member_activation in zip(network.members, activations, strict=True)
    ]
    np.testing.assert_allclose(result, (alone[0] + alone[1]) / 2, atol=1e-5)
    exact, bias = class_activation_map(network.members[0].head, activations[0], "avg", THREE_CLASS)
    np.testing.assert_array_equal(alone[0], exact)
    odds = log_odds(network(pixels())[:, 0], THREE_CLASS)
    np.testing.assert_allclose(tf.reduce_sum(exact, [1, 2]) + bias, odds, rtol=1e-4, atol=1e-4)


def pooling_member(cell: int, temperature: float) -> EnsembleMember:
    """Returns a member whose features are the brightness of cells of some pixels."""
    lower = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.AveragePooling2D(cell)])
    head = build_head(np.zeros(1, np.float32), np.ones(1, np.float32), 2, ModelOptions())
    head.set_weights([np.array([[0.0, 0.1]]), np.zeros(2)])
    return EnsembleMember(lower, head, None, temperature)


def test_map_of_different_grids_keeps_the_log_odds() -> None:
    members = pooling_member(4, 2.0), pooling_member(8, 0.5)
    network = ClassifierNetwork(members, "avg")
    pixels = tf.constant(np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 1)), tf.float32)
    maps = contribution_map(network, network.activations(pixels), BINARY).numpy()
    assert maps.shape == (3, 8, 8)
    logits = network(pixels).numpy()
    odds = (logits[..., 1] - logits[..., 0]).mean(axis=1)  # the biases are 0
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), odds, rtol=1e-4)
    assert (maps.std(axis=(1, 2)) > 0).all()
    plain = ClassifierNetwork((replace(members[0], temperature=1.0),), "avg")
    np.testing.assert_allclose(plain(pixels)[:, 0], 2 * logits[:, 0], rtol=1e-5)


def test_explain_fn_agrees_with_the_network(network: ClassifierNetwork) -> None:
    explain = tf.function(
        build_explain_fn(network, THREE_CLASS, DecisionRule(2.0, 0.0)), autograph=False
    )
    result = explain(pixels())
    np.testing.assert_allclose(result.logits, network(pixels()), rtol=1e-4, atol=1e-4)
    assert result.heat.shape == (3, 2, 2)
    assert result.boxes.shape == (3, MAX_BOXES, 4)
    assert result.box_scores.shape == (3, MAX_BOXES)
    heat, scores = result.heat.numpy(), result.box_scores.numpy()
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert (scores[:, 0] <= heat.max(axis=(1, 2)) + 1e-6).all()
    assert (scores[:, 0] > 0).all()
    never = build_explain_fn(network, THREE_CLASS, DecisionRule(2.0, 1.1))(pixels())
    np.testing.assert_array_equal(never.box_scores, np.full((3, MAX_BOXES), -1))
    np.testing.assert_array_equal(never.boxes, np.zeros((3, MAX_BOXES, 4)))


def test_reference_map_is_subtracted(network: ClassifierNetwork) -> None:
    references = np.random.default_rng(5).integers(0, 256, (5, 64, 64, 1), np.uint8)
    reference = reference_map(network, THREE_CLASS, references, batch_size=2)
    maps = contribution_map(
        network, network.activations(tf.constant(references, tf.float32)), THREE_CLASS
    )
    np.testing.assert_allclose(reference, maps.numpy().mean(axis=0), atol=1e-4)
    explain = build_explain_fn(network, THREE_CLASS, DecisionRule(1.0, 0.0), reference=reference)
    result = explain(pixels())
    contributions = contribution_map(network, network.activations(pixels()), THREE_CLASS)
    np.testing.assert_allclose(
        result.heat,
        heat_map(contributions - reference, result.heat.numpy().max(axis=(1, 2))),
        atol=1e-4,
    )


def test_map_of_a_folded_network(network: ClassifierNetwork) -> None:
    """Batch normalization with nontrivial statistics."""
    rng = np.random.default_rng(3)
    for model in (network.members[0].lower, *(member.upper for member in network.members)):
        for weight in model.weights if model is not None else []:
            if "moving_mean" in weight.path or "beta" in weight.path:
                weight.assign(rng.normal(0, 0.1, weight.shape))
            elif "moving_variance" in weight.path or "gamma" in weight.path:
                weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    folded = network.folded()
    one = contribution_map(network, network.activations(pixels()), THREE_CLASS).numpy()
    other = contribution_map(folded, folded.activations(pixels()), THREE_CLASS).numpy()
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4 * np.abs(one).max())
