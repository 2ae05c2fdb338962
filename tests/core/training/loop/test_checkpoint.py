import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.training.loop.checkpoint import Checkpoint
from schema.errors import PneumoError
from tests.support.stand_ins import stores


def test_save_and_load(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "deep" / "state.npz")
    assert checkpoint.load() is None
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(3, np.int64), np.zeros((0, 2))]
    checkpoint.save(arrays, {"epoch": 3, "values": {"loss": [0.5]}})
    stored = checkpoint.load()
    assert stored is not None
    for a, b in zip(arrays, stored[0], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert stored[1] == {"epoch": 3, "values": {"loss": [0.5]}}


def test_interrupted_write_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "state.npz")
    checkpoint.save([np.ones(2)], {"epoch": 1})

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save([np.zeros(2)], {"epoch": 2})
    stored = checkpoint.load()
    assert stored is not None
    assert stored[1] == {"epoch": 1}


def test_due(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "a", every=0.0).due()
    assert not Checkpoint(tmp_path / "a", every=3600.0).due()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stores.s3(tmp_path_factory.mktemp("s3")) as s3, pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment.items():
            patch.setenv(name, value)
        yield f"{s3.root}/states"


def test_object_store(store: str) -> None:
    checkpoint = Checkpoint(f"{store}/a/state.npz")
    assert checkpoint.load() is None
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(3, np.int64)]
    checkpoint.save([np.zeros(2_000_000)], {"epoch": 1})  # more than one part of an upload
    checkpoint.save(arrays, {"epoch": 2})
    stored = Checkpoint(f"{store}/a/state.npz").load()
    assert stored is not None
    for a, b in zip(arrays, stored[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert stored[1] == {"epoch": 2}


def test_killed_upload_keeps_the_last_checkpoint(store: str) -> None:
    """The writer is killed by SIGKILL during the upload."""
    uri = f"{store}/killed/state.npz"
    Checkpoint(uri).save([np.ones(2)], {"epoch": 1})
    code = (
        "import os, signal, socket\n"
        "import numpy as np\n"
        "from core.training.loop.checkpoint import Checkpoint\n"
        "sent = 0\n"
        "def counting(inner):\n"
        "    def send(self, *data):\n"
        "        global sent\n"
        "        done = inner(self, *data)\n"
        "        sent += done\n"
        "        if sent > 2**23:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return done\n"
        "    return send\n"
        "for name in ('send', 'sendmsg'):\n"
        "    setattr(socket.socket, name, counting(getattr(socket.socket, name)))\n"
        "arrays = [np.random.default_rng(0).random(4_000_000)]\n"
        f"Checkpoint({uri!r}).save(arrays, {{'epoch': 2}})\n"
    )
    root = str(Path(__file__).parents[4])
    writer = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert writer.returncode == -signal.SIGKILL
    stored = Checkpoint(uri).load()
    assert stored is not None
    assert stored[1] == {"epoch": 1}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_invalid_file_is_rejected(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "state.npz"
    file.write_bytes(content)
    with pytest.raises(PneumoError, match=r"state\.npz is not a training checkpoint .*delete it"):
        Checkpoint(file).load()
