import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.loop.batches import LabeledRows, data_from_rows


def rows(n: int, views: int = 1, left_out: int = 0) -> LabeledRows:
    features = tuple(np.arange(n, dtype=np.float16)[:, None] + 1000 * v for v in range(views))
    targets = np.ones((n, 2), np.float32)
    return LabeledRows(features, targets, np.arange(n, dtype=np.float32), np.arange(left_out, n))


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 50), st.integers(0, 5))
def test_an_epoch_has_every_image_once(n: int, views: int, batch: int, epoch: int) -> None:
    of = rows(n, views)
    batches = list(of.epoch(7, epoch, batch))
    assert len(batches) == -(-n // batch)
    seen = np.concatenate([x[:, 0] for x, _, _ in batches])
    assert sorted(seen % 1000) == list(range(n))
    weights = np.concatenate([w for _, _, w in batches])
    np.testing.assert_array_equal(weights, seen % 1000)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    of = rows(50, 3)

    def order(seed: int, epoch: int) -> list[float]:
        return [float(v) for x, _, _ in of.epoch(seed, epoch, 8) for v in x[:, 0]]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_all_views_are_used() -> None:
    seen = {int(v) // 1000 for x, _, _ in rows(100, 3).epoch(0, 0, 10) for v in x[:, 0]}
    assert seen == {0, 1, 2}


def test_images_without_a_place_in_the_task_are_left_out() -> None:
    of = rows(10, 2, left_out=4)
    assert len(of) == 6
    assert [float(v) for x, _, _ in of.in_order(4) for v in x[:, 0]] == [4, 5, 6, 7, 8, 9]
    assert {int(v) % 1000 for x, _, _ in of.epoch(0, 0, 4) for v in x[:, 0]} == set(range(4, 10))


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_validation_is_the_image_itself_in_order(batch: int) -> None:
    values = [float(v) for x, _, _ in rows(7, 3).in_order(batch) for v in x[:, 0]]
    assert values == list(range(7))


def test_datasets_hold_epoch_after_epoch_and_all_of_validation() -> None:
    data = data_from_rows(rows(10, 2), rows(7, 2), 5, 4)
    assert (data.images, data.batch_size, data.steps) == (10, 4, 3)
    found = [x[:, 0].tolist() for x, _, _ in data.epochs(2, 4).as_numpy_iterator()]
    expected = [x[:, 0].tolist() for epoch in (2, 3) for x, _, _ in rows(10, 2).epoch(5, epoch, 4)]
    assert found == expected
    judged = list(data.validation.as_numpy_iterator())
    assert len(judged) == int(data.validation.cardinality()) == 1
    assert judged[0][0][:, 0].tolist() == list(range(7))
