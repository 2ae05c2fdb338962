"""Processes side by side; these do nothing but end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from components.trainer import ranks
from components.trainer.cluster import cluster_of
from components.trainer.ranks import handed_over, loopback, run_ranks, wait_for_command
from schema.errors import PneumoError
from schema.processes import runs

WHO = "import json, os; task = json.loads(os.environ['TF_CONFIG'])['task']; "


def test_loopback_names_every_process_once() -> None:
    clusters = [cluster_of(text) for text in loopback(3)]
    assert [of.rank for of in clusters] == [0, 1, 2]
    assert len({of.addresses for of in clusters}) == 1
    assert len(set(clusters[0].addresses)) == 3


def test_each_gets_its_own_rank(tmp_path: Path) -> None:
    code = WHO + f"open('{tmp_path}/' + str(task['index']), 'w').write('done')"
    run_ranks(["-c", code], loopback(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


@pytest.mark.parametrize(
    ("fails", "line"),
    [
        ("raise SystemExit(3)", r"rank 1 of 2 ended before it was done \(exit status 3\)"),
        ("os.kill(os.getpid(), 9)", r"rank 1 of 2 .* \(killed by SIGKILL\)"),
        ("raise ValueError('the disk is full')", r"\(exit status 1: ValueError: the disk is full"),
        ("raise BaseException('odd\\nlines')", r"rank 1 of 2 .*\(exit status 1"),
    ],
)
def test_the_first_that_fails_is_named_and_the_others_are_ended(
    fails: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ranks, "GRACE_S", 0.2)
    own = tmp_path / "pid"
    code = WHO + (
        f"import time\nif task['index']:\n  time.sleep(0.5)\n  {fails}\n"
        f"else:\n  open('{own}', 'w').write(str(os.getpid())); time.sleep(600)\n"
        f"  open('{own}', 'w').write('slept to its own end')"
    )
    with pytest.raises(PneumoError, match=line) as raised:
        run_ranks(["-c", code], loopback(2))
    assert str(raised.value).endswith("start the run again: it goes on from the last checkpoint")
    assert not runs(int(own.read_text()))


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    own = tmp_path / "pid"
    inner = f"import os, time; open('{own}', 'w').write(str(os.getpid())); time.sleep(600)"
    outer = (
        "from components.trainer.ranks import loopback, run_ranks\n"
        f"run_ranks(['-c', {inner!r}], loopback(1))"
    )
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", outer], env={**os.environ, "PYTHONPATH": str(root)}
    )
    _until(lambda: own.is_file() and own.read_text() != "")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _until(lambda: not runs(int(own.read_text())) or _zombie(int(own.read_text())))


def _zombie(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def _until(condition: object) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_chief_hands_its_command_to_those_of_its_cluster(tmp_path: Path) -> None:
    chief, worker = (cluster_of(text) for text in loopback(2))
    other = cluster_of(loopback(2)[1])
    found: list[list[str]] = []
    reader = threading.Thread(
        target=lambda: found.append(wait_for_command(str(tmp_path), worker, 60))
    )
    reader.start()
    with handed_over(str(tmp_path), ["-c", "pass"], chief):
        reader.join(60)
        with pytest.raises(PneumoError, match=r"rank 1 waited 1\.5 s for .*training\.json"):
            wait_for_command(str(tmp_path), other, 1.5)
    assert found == [["-c", "pass"]]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (loopback(2)[0], "makes this process the chief"),
        ("{", "is not a JSON object"),
        (loopback(2)[1], "is the chief running, on the same folder?"),
    ],
)
def test_follow_says_what_is_wrong_in_one_line(tmp_path: Path, config: str, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "components.trainer.follow", str(tmp_path), "--wait", "0.1"],
        env={**os.environ, "TF_CONFIG": config, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ") and line in done.stderr
    assert done.stderr.count("\n") == 1


def test_follow_trains_with_the_chief(tmp_path: Path) -> None:
    first, second = loopback(2)
    code = WHO + f"open('{tmp_path}/trained', 'w').write(str(task['index']))"
    with handed_over(str(tmp_path), ["-c", code], cluster_of(first)):
        subprocess.run(
            [sys.executable, "-m", "components.trainer.follow", str(tmp_path)], check=True,
            env={**os.environ, "TF_CONFIG": second, "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
    assert (tmp_path / "trained").read_text() == "1"
    assert json.loads(second)["task"]["index"] == 1
