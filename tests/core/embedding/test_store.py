from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.embedding.store import ArrayWriter, open_array

VALUES = st.floats(-60000, 60000, width=32, allow_subnormal=False)


@settings(max_examples=30)
@given(
    parts=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3),
    dtype=st.sampled_from(["float16", "float32"]),
    data=st.data(),
)
def test_batches_are_read_as_one_array(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[int],
    shape: tuple[int, ...],
    dtype: str,
    data: st.DataObject,
) -> None:
    file = tmp_path_factory.mktemp("store") / "features-0.npy"
    batches = [data.draw(hnp.arrays(np.float32, (n, *shape), elements=VALUES)) for n in parts]
    with ArrayWriter(file, dtype) as out:
        for batch in batches:
            out.add(batch)
    whole = np.concatenate(batches)
    np.testing.assert_array_equal(open_array(file), whole.astype(dtype))
    np.testing.assert_array_equal(np.load(file), whole.astype(dtype))  # any reader of .npy
    if dtype == "float32":
        assert out.error == 0
        return
    # Half a unit in the last of 11 bits.
    assert out.error <= 2.0**-11
    size = np.abs(whole)
    large = size >= 2.0**-14
    errors = np.abs(np.load(file).astype(np.float32) - whole)
    if large.any():
        assert out.error == pytest.approx(float((errors[large] / size[large]).max()), rel=1e-5)
    assert (errors[~large] <= 2.0**-25).all()


@pytest.mark.parametrize("value", [70000.0, np.inf, np.nan])
def test_value_too_large_for_float16(tmp_path: Path, value: float) -> None:
    file = tmp_path / "features-0.npy"
    with (
        pytest.raises(ValueError, match=r"training\.embedding\.storage=float32"),
        ArrayWriter(file, "float16") as out,
    ):
        out.add(np.array([[1.0, value]], np.float32))
    assert not file.exists()


def test_failure_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "maps-0.npy"
    with pytest.raises(KeyboardInterrupt), ArrayWriter(file, "float16") as out:
        out.add(np.ones((2, 3), np.float32))
        raise KeyboardInterrupt
    assert not file.exists()


def test_arrays_are_memory_mapped(tmp_path: Path) -> None:
    file = tmp_path / "features-0.npy"
    with ArrayWriter(file, "float32") as out:
        out.add(np.ones((2, 3), np.float32))
    assert isinstance(open_array(file), np.memmap)
    with ArrayWriter(file, "float16") as out:
        out.add(np.ones((0, 3), np.float32))
    assert open_array(file).shape == (0, 3)
