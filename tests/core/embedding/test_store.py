from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.embedding.store import ArrayWriter, open_array

MODEST = st.floats(-60000, 60000, width=32, allow_subnormal=False)


@settings(max_examples=30)
@given(
    parts=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3),
    dtype=st.sampled_from(["float16", "float32"]),
    data=st.data(),
)
def test_what_is_written_in_parts_is_read_as_one(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[int],
    shape: tuple[int, ...],
    dtype: str,
    data: st.DataObject,
) -> None:
    file = tmp_path_factory.mktemp("store") / "features-0.npy"
    batches = [data.draw(hnp.arrays(np.float32, (n, *shape), elements=MODEST)) for n in parts]
    with ArrayWriter(file, dtype) as out:
        for batch in batches:
            out.add(batch)
    whole = np.concatenate(batches)
    np.testing.assert_array_equal(open_array(file), whole.astype(dtype))
    np.testing.assert_array_equal(np.load(file), whole.astype(dtype))  # any reader of .npy
    if dtype == "float32":
        assert out.error == 0
        return
    # The bound that the documentation gives: half a unit in the last of 11 bits.
    assert out.error <= 2.0**-11
    size = np.abs(whole)
    large = size >= 2.0**-14
    off = np.abs(np.load(file).astype(np.float32) - whole)
    if large.any():
        assert out.error == pytest.approx(float((off[large] / size[large]).max()), rel=1e-5)
    assert (off[~large] <= 2.0**-25).all()


@pytest.mark.parametrize("value", [70000.0, np.inf, np.nan])
def test_a_value_that_does_not_fit_is_an_error(tmp_path: Path, value: float) -> None:
    file = tmp_path / "features-0.npy"
    with (
        pytest.raises(ValueError, match=r"training\.embedding\.storage=float32"),
        ArrayWriter(file, "float16") as out,
    ):
        out.add(np.array([[1.0, value]], np.float32))
    assert not file.exists()


def test_nothing_that_looks_finished_is_left_by_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "maps-0.npy"
    with pytest.raises(KeyboardInterrupt), ArrayWriter(file, "float16") as out:
        out.add(np.ones((2, 3), np.float32))
        raise KeyboardInterrupt
    assert not file.exists()


def test_reading_does_not_load(tmp_path: Path) -> None:
    file = tmp_path / "features-0.npy"
    with ArrayWriter(file, "float32") as out:
        out.add(np.ones((2, 3), np.float32))
    assert isinstance(open_array(file), np.memmap)
    with ArrayWriter(file, "float16") as out:
        out.add(np.ones((0, 3), np.float32))
    assert open_array(file).shape == (0, 3)
