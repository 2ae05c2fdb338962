import math

import numpy as np
import pytest

from core.images.corruptions import CORRUPTIONS, LEVELS, corrupt
from core.metrics.binary import binary_metrics, bootstrap_binary_metrics
from core.metrics.paired import delong_clustered
from core.predictions.stress_test import (
    CONDITIONS,
    METRICS,
    StressScores,
    condition_metrics,
    draw_patients,
    score_conditions,
    stress_test_results,
)

ONE = ("blur", "moderate")


def scores(n: int = 200, noise: float = 0.7, shift: float = 0.0, seed: int = 0) -> StressScores:
    """Two images of each patient; the corruption adds noise and a shift to the log-odds."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) // 2 % 2
    before = 3.0 * (labels - 0.5) + rng.normal(0, 1, n)
    after = before + shift + rng.normal(0, 1, n) * noise
    return StressScores(
        labels,
        np.array([f"p{i // 2}" for i in range(n)]),
        1 / (1 + np.exp(-before)),
        {ONE: 1 / (1 + np.exp(-after))},
        0.5,
    )


def test_the_values_are_the_metrics_before_and_after() -> None:
    data = scores(shift=-1.0)
    metrics, drops = condition_metrics(data, ONE, 200, 0)
    before = binary_metrics(data.labels, data.uncorrupted, 0.5)
    after = bootstrap_binary_metrics(
        data.labels, data.corrupted[ONE], data.patients, 0.5, resamples=200, seed=0
    )
    for name in METRICS:
        assert metrics[name] == after[name]
        assert drops[name].estimate == pytest.approx(before[name] - after[name].estimate)
        assert drops[name].low < drops[name].estimate < drops[name].high
    assert drops["sensitivity"].estimate > 0 > drops["specificity"].estimate


def test_the_paired_interval_of_the_auc_agrees_with_delong() -> None:
    data = scores()
    _, drops = condition_metrics(data, ONE, 2000, 0)
    test = delong_clustered(data.labels, data.uncorrupted, data.corrupted[ONE], data.patients)
    assert drops["auc"].estimate == pytest.approx(test.difference)
    assert drops["auc"].high - drops["auc"].low == pytest.approx(2 * 1.96 * test.se, rel=0.15)
    metrics, drops = condition_metrics(scores(noise=0.2), ONE, 500, 0)
    assert drops["auc"].high - drops["auc"].low < metrics["auc"].high - metrics["auc"].low


def test_decisions_that_do_not_change_have_bounds_on_both_sides() -> None:
    data = scores(noise=0.0)
    _, drops = condition_metrics(data, ONE, 100, 0)
    assert (drops["auc"].estimate, drops["auc"].low, drops["auc"].high) == (0, 0, 0)
    for name in ("sensitivity", "specificity"):
        reach = 1 - 0.025 ** (1 / 50)
        assert drops[name].estimate == 0
        assert (drops[name].low, drops[name].high) == pytest.approx((-reach, reach))
        assert drops[name].exact


def test_a_missing_class_has_no_auc() -> None:
    data = StressScores(
        np.ones(4, int), np.array(list("aabb")), np.full(4, 0.8), {ONE: np.full(4, 0.2)}, 0.5
    )
    metrics, drops = condition_metrics(data, ONE, 100, 0)
    assert math.isnan(metrics["auc"].estimate) and math.isnan(drops["auc"].estimate)
    assert math.isnan(drops["specificity"].estimate)
    assert (metrics["sensitivity"].estimate, drops["sensitivity"].estimate) == (0.0, 1.0)
    assert stress_test_results(data, 100, 0)["largest"]["moderate"] is None


def test_the_results_name_the_largest_drop_of_each_level() -> None:
    base = scores()
    after = {
        ("blur", "moderate"): scores(noise=0.2).corrupted[ONE],
        ("noise", "moderate"): scores(noise=2.0).corrupted[ONE],
        ("noise", "severe"): scores(noise=9.0).corrupted[ONE],
    }
    data = StressScores(base.labels, base.patients, base.uncorrupted, after, 0.5)
    results = stress_test_results(data, 100, 0)
    assert (results["images"], results["patients"], results["positives"]) == (200, 100, 100)
    assert [(row["corruption"], row["level"]) for row in results["corruptions"]] == list(after)
    assert results["corruptions"][1]["value"] == CORRUPTIONS["noise"].value("moderate")
    assert results["largest"]["mild"] is None
    assert results["largest"]["moderate"]["corruption"] == "noise"
    assert results["largest"]["moderate"]["drop"] == results["corruptions"][1]["drops"]["auc"]
    assert set(results["uncorrupted"]) == set(METRICS)


def test_no_images_raise() -> None:
    empty = StressScores(np.empty(0, int), np.empty(0, str), np.empty(0), {}, 0.5)
    with pytest.raises(ValueError, match="no images"):
        stress_test_results(empty, 100, 0)


@pytest.mark.parametrize(
    ("limit", "images"), [(None, 7), (100, 7), (7, 7), (4, 4), (2, 2), (1, 1), (0, 0)]
)
def test_whole_patients_are_drawn(limit: int | None, images: int) -> None:
    patients = np.array(list("aaabbcddx"))
    labels = np.array([0, 0, 0, 1, 1, 0, 1, -1, -1])
    for seed in range(5):
        drawn = draw_patients(patients, labels, limit, seed)
        assert drawn.sum() <= (7 if limit is None else limit)
        assert not drawn[labels < 0].any()
        for name in "abcd":
            assert len(set(drawn[(patients == name) & (labels >= 0)].tolist())) == 1
    if limit in (None, 0, 1, 7, 100):  # in between some patients may not fit
        assert drawn.sum() == images


def test_draws_depend_on_the_seed_only() -> None:
    patients, labels = np.arange(100), np.arange(100) % 2
    drawn = [draw_patients(patients, labels, 30, seed) for seed in (0, 0, 1)]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()
    assert [one.sum() for one in drawn] == [30, 30, 30]
    assert not len(draw_patients(np.empty(0), np.empty(0, int), 5, 0))


def test_scores_do_not_depend_on_the_batches() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 12, 12), np.uint8)
    ids = [f"id{i}" for i in range(5)]

    def score(images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8
        return images.mean(axis=(1, 2)) / 255

    counts: list[int] = []
    whole = score_conditions([(pixels, ids)], score, 3, counts.append)
    parts = score_conditions([(pixels[:2], ids[:2]), (pixels[2:], ids[2:])], score, 3)
    assert counts[-1] == 5 * (1 + len(CONDITIONS)) == 5 * (1 + len(CORRUPTIONS) * len(LEVELS))
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[0], score(pixels))
    assert list(whole[1]) == list(CONDITIONS)
    for condition in CONDITIONS:
        np.testing.assert_array_equal(whole[1][condition], parts[1][condition])
    darker = np.stack([corrupt(one, "gamma, darker", "severe") for one in pixels])
    np.testing.assert_array_equal(whole[1]["gamma, darker", "severe"], score(darker))
    other = score_conditions([(pixels, ids)], score, 4)[1]
    assert (other["noise", "severe"] != whole[1]["noise", "severe"]).all()


def test_no_batches_give_no_scores() -> None:
    uncorrupted, corrupted = score_conditions([], lambda images: images, 0)
    assert len(uncorrupted) == 0
    assert {len(values) for values in corrupted.values()} == {0}
