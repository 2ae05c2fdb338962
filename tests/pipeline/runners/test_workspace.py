import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runners.workspace import lock_workspace
from schema.errors import PneumoError


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        lock_workspace(tmp_path / "work"),
        pytest.raises(PneumoError, match="another run is working"),
        lock_workspace(tmp_path / "work"),
    ):
        pass
    with lock_workspace(tmp_path / "work") as again:
        assert again.folder == (tmp_path / "work").resolve()


def test_a_killed_run_frees_the_folder(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path\n"
        "from pipeline.runners.workspace import lock_workspace\n"
        f"with lock_workspace(Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with lock_workspace(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PneumoError, match="--workdir"), lock_workspace(tmp_path / "file" / "work"):
        pass


NOISE = """
import ctypes, logging, sys
from pathlib import Path
from pipeline.runners.workspace import redirect_output
with redirect_output(Path(sys.argv[1])) as terminal:
    print("from print")
    print("from stderr", file=sys.stderr)
    logging.getLogger("some.library").info("from logging")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    terminal.write("for the user\\n")
print("after")
"""


def test_quiet_catches_python_and_c_and_logging(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", NOISE, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "for the user\nafter\n"
    assert done.stderr == ""
    text = log.read_text()
    for part in ("from print", "from stderr", "from logging", "from C"):
        assert part in text
    assert "for the user" not in text
