from pathlib import Path

import numpy as np
import pytest

from components.trainer.checkpoint import Checkpoint


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    of = Checkpoint(tmp_path / "deep" / "state.npz")
    assert of.load() is None
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(3, np.int64), np.zeros((0, 2))]
    of.save(arrays, {"epoch": 3, "values": {"loss": [0.5]}})
    stored = of.load()
    assert stored is not None
    for a, b in zip(arrays, stored[0], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert stored[1] == {"epoch": 3, "values": {"loss": [0.5]}}
    of.remove()
    assert of.load() is None
    of.remove()


def test_a_killed_write_leaves_the_last_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = Checkpoint(tmp_path / "state.npz")
    of.save([np.ones(2)], {"epoch": 1})

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(KeyboardInterrupt):
        of.save([np.zeros(2)], {"epoch": 2})
    stored = of.load()
    assert stored is not None
    assert stored[1] == {"epoch": 1}


def test_due_after_the_interval(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "a", every=0.0).due()
    assert not Checkpoint(tmp_path / "a", every=3600.0).due()
