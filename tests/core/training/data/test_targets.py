import numpy as np
import pytest

from core.training.data.targets import class_targets, example_weights
from schema.labels import BACTERIA_VIRUS, BINARY, THREE_CLASS


def test_targets() -> None:
    names = np.array(["normal", "virus", "unknown", "bacteria"])
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]]
    np.testing.assert_array_equal(class_targets(names, THREE_CLASS), expected)
    np.testing.assert_array_equal(
        class_targets(names, BACTERIA_VIRUS), [[0, 0], [1, 0], [0, 0], [0, 1]]
    )
    assert class_targets(np.array([], str), BINARY).shape == (0, 2)


def test_balanced_weights() -> None:
    targets = class_targets(
        np.array(["normal"] * 2 + ["virus"] * 3 + ["bacteria"] * 5), THREE_CLASS
    )
    weights = example_weights(targets, balanced=True)
    sums = (targets * weights[:, None]).sum(axis=0)
    np.testing.assert_allclose(sums, 10 / 3, rtol=1e-6)
    assert example_weights(targets, balanced=False).tolist() == [1.0] * 10


def test_partial_label_gets_the_mean_weight() -> None:
    targets = class_targets(
        np.array(["normal", "virus", "bacteria", "bacteria", "unknown"]), THREE_CLASS
    )
    weights = example_weights(targets, balanced=True)
    assert weights[4] == pytest.approx((weights[1] + weights[2]) / 2)


@pytest.mark.parametrize("names", [[], ["normal"], ["normal", "unknown"]])
def test_class_without_images_is_an_error(names: list[str]) -> None:
    with pytest.raises(ValueError, match="counts per class are"):
        example_weights(class_targets(np.array(names, str), THREE_CLASS), balanced=True)
