import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.loop.batches import LabeledRows, data_from_rows


def rows(n: int, views: int = 1, excluded: int = 0) -> LabeledRows:
    features = tuple(np.arange(n, dtype=np.float16)[:, None] + 1000 * v for v in range(views))
    targets = np.ones((n, 2), np.float32)
    return LabeledRows(features, targets, np.arange(n, dtype=np.float32), np.arange(excluded, n))


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 50), st.integers(0, 5))
def test_epoch_contains_every_image_once(n: int, views: int, batch: int, epoch: int) -> None:
    data_rows = rows(n, views)
    batches = list(data_rows.epoch(7, epoch, batch))
    assert len(batches) == -(-n // batch)
    stored = np.concatenate([x[:, 0] for x, _, _ in batches])
    assert sorted(stored % 1000) == list(range(n))
    weights = np.concatenate([w for _, _, w in batches])
    np.testing.assert_array_equal(weights, stored % 1000)


def test_order_depends_on_seed_and_epoch_only() -> None:
    data_rows = rows(50, 3)

    def order(seed: int, epoch: int) -> list[float]:
        return [float(v) for x, _, _ in data_rows.epoch(seed, epoch, 8) for v in x[:, 0]]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_all_views_are_used() -> None:
    stored = {int(v) // 1000 for x, _, _ in rows(100, 3).epoch(0, 0, 10) for v in x[:, 0]}
    assert stored == {0, 1, 2}


def test_images_outside_the_task_are_excluded() -> None:
    data_rows = rows(10, 2, excluded=4)
    assert len(data_rows) == 6
    assert [float(v) for x, _, _ in data_rows.in_order(4) for v in x[:, 0]] == [4, 5, 6, 7, 8, 9]
    assert {int(v) % 1000 for x, _, _ in data_rows.epoch(0, 0, 4) for v in x[:, 0]} == set(
        range(4, 10)
    )


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_validation_is_not_augmented(batch: int) -> None:
    values = [float(v) for x, _, _ in rows(7, 3).in_order(batch) for v in x[:, 0]]
    assert values == list(range(7))


def test_datasets_of_epochs_and_validation() -> None:
    data = data_from_rows(rows(10, 2), rows(7, 2), 5, 4)
    assert (data.images, data.batch_size, data.steps) == (10, 4, 3)
    epochs_batches = [x[:, 0].tolist() for x, _, _ in data.epochs(2, 4).as_numpy_iterator()]
    expected = [x[:, 0].tolist() for epoch in (2, 3) for x, _, _ in rows(10, 2).epoch(5, epoch, 4)]
    assert epochs_batches == expected
    val_batches = list(data.validation.as_numpy_iterator())
    assert len(val_batches) == int(data.validation.cardinality()) == 1
    assert val_batches[0][0][:, 0].tolist() == list(range(7))
