import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.commands.data.phantom import command


def test_example_of_the_help_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    epilog = str(command.epilog)
    words = epilog.removeprefix("Example: pneumo phantom ").split()
    assert words != epilog.split()
    words[words.index("--n") + 1] = "5"  # the example, only smaller
    result = CliRunner().invoke(command, [*words, "--size", "64"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "5 synthetic radiographs" in result.output
    assert "next: pneumo ingest phantoms/chest_xray" in result.output
    assert len(list(tmp_path.rglob("*.jpeg"))) == 5
    again = CliRunner().invoke(command, [*words, "--size", "64"], catch_exceptions=False)
    assert "nothing to do" in again.output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_run_leaves_nothing_that_looks_finished(tmp_path: Path, workers: str) -> None:
    arguments = [sys.executable, "-m", "pipeline.cli", "phantom", str(tmp_path / "set")]
    arguments += ["--size", "64", "--workers", workers]
    run = subprocess.Popen([*arguments, "--n", "5000"], start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpeg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert list(tmp_path.rglob("*.jpeg"))
    assert not (tmp_path / "set").exists()
    done = subprocess.run([*arguments, "--n", "3"], check=True, capture_output=True, text=True)
    assert "3 synthetic radiographs" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
