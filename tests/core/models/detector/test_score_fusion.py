import numpy as np
import pytest
import tensorflow as tf

from core.metrics.binary import roc_auc_score
from core.models.detector.score_fusion import HEAD_ONLY, ScoreFusion, fit_score_fusion, log_odds


def logits_of(odds: np.ndarray, members: int = 1) -> np.ndarray:
    pair = np.stack([-odds / 2, odds / 2], axis=-1)
    return np.repeat(pair[:, np.newaxis], members, axis=1)


def test_head_only_keeps_the_probabilities() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3, 2))
    fused = HEAD_ONLY.fuse(logits, np.full(5, 0.9))
    np.testing.assert_allclose(
        fused[..., 1] - fused[..., 0], logits[..., 1] - logits[..., 0], rtol=1e-5
    )


def test_example() -> None:
    result = ScoreFusion(head=0.5, peak=2.0, bias=-1.0).fuse(
        np.array([[[1.0, 3.0]]]), np.array([0.8])
    )
    expected = 0.5 * 2.0 + 2.0 * np.log(4.0) - 1.0
    assert result[0, 0, 1] - result[0, 0, 0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("heat", [-1.0, 0.0, 0.005, 0.01])
def test_no_box_counts_as_minimum_heat(heat: float) -> None:
    assert log_odds(np.array([heat]))[0] == pytest.approx(np.log(0.01 / 0.99))


def test_tensor_and_array_versions_agree() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(40, 2, 2)).astype(np.float32)
    heat = rng.uniform(-0.2, 1.0, 40).astype(np.float32)
    fusion = ScoreFusion(0.7, 1.3, -0.4)
    result = fusion.fuse_tensor(tf.constant(logits), tf.constant(heat))
    np.testing.assert_allclose(result, fusion.fuse(logits, heat), rtol=1e-5, atol=1e-5)


def test_fusion_is_better_than_each_input() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 4000)
    odds = rng.normal(1.5 * (2 * truth - 1), 2.0)
    heat = 1 / (1 + np.exp(-rng.normal(2.0 * truth - 2.0, 1.5)))
    fusion = fit_score_fusion(logits_of(odds[:2000]), heat[:2000], truth[:2000])
    fused = fusion.fuse(logits_of(odds[2000:]), heat[2000:])[:, 0]
    fused_auc = roc_auc_score(truth[2000:], fused[:, 1] - fused[:, 0])
    single = [roc_auc_score(truth[2000:], odds[2000:]), roc_auc_score(truth[2000:], heat[2000:])]
    assert fused_auc is not None
    assert all(fused_auc > auc + 0.02 for auc in single if auc is not None)


def test_inverted_input_gets_zero_weight() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 500)
    fusion = fit_score_fusion(logits_of(rng.normal(2.0 * truth - 1, 1)), 0.9 - 0.8 * truth, truth)
    assert fusion.peak == 0.0
    assert fusion.head > 0


@pytest.mark.parametrize("perfect", [True, False])
def test_weights_stay_finite(perfect: bool) -> None:
    truth = np.array([0, 1] * 20)
    heat = 0.1 + 0.8 * truth if perfect else np.full(40, 0.5)
    fusion = fit_score_fusion(logits_of(np.zeros(40)), heat, truth)
    assert np.isfinite([fusion.head, fusion.peak, fusion.bias]).all()
    assert fusion.peak < 50


@pytest.mark.parametrize("positive", [[], [1, 1], [0, 0], [-1, -1], [1, -1]])
def test_one_class_only_gives_head_only(positive: list[int]) -> None:
    n = len(positive)
    assert (
        fit_score_fusion(logits_of(np.zeros(n)), np.zeros(n), np.array(positive, int)) == HEAD_ONLY
    )
