"""`pneumo predict --endpoint` as a user runs it: processes, files, pipes, kills."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.standin import Standin, row_of, start

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def standin() -> Iterator[Standin]:
    made = Standin()
    stop = start(made)
    yield made
    stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    for i in range(30):
        (made / f"{i:03}.png").write_bytes(PNG + str(i).encode().ljust(100, b"."))
    (made / "010a.png").write_bytes(b"")
    (made / "020a.jpeg").write_bytes(b"<html>" * 20)
    return made


def pneumo(*arguments: Any, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pipeline.cli", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, input=stdin, check=False)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def order(found: list[dict[str, str]]) -> list[tuple[int, float]]:
    place = {"REFER": 0, "POSITIVE": 1, "NEGATIVE": 1, "REJECTED": 2}
    return [(place[row["decision"]], -float(row["score"] or 0)) for row in found]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_what_goes_in_comes_out(standin: Standin, folder: Path, protocol: str) -> None:
    done = pneumo("--endpoint", getattr(standin, protocol), "--format", "csv", folder)
    assert done.returncode == 1  # two were rejected
    found = rows(done.stdout)
    names = [str(path) for path in sorted(folder.iterdir())]
    assert [row["file"] for row in found] == names
    assert [Path(r["file"]).name for r in found if r["error"]] == ["010a.png", "020a.jpeg"]
    for row in found:
        if not row["error"]:
            assert float(row["score"]) == row_of(Path(row["file"]).read_bytes())["score"]
    told = done.stderr.decode()
    assert "32 images: 30 answered" in told
    assert "2 rejected" in told
    assert "not a medical device" in told


def test_names_from_a_pipe_and_one_that_is_gone(standin: Standin, folder: Path) -> None:
    names = [folder / "001.png", folder / "gone.png", folder / "002.png"]
    given = "\n".join(map(str, names)).encode()
    done = pneumo("--endpoint", standin.rest, "--json", "-", stdin=given)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == list(map(str, names))
    assert answers[1]["error"] == "cannot be read: No such file or directory"
    assert done.returncode == 1


def test_all_well_is_status_0(standin: Standin, folder: Path) -> None:
    done = pneumo("--endpoint", standin.rest, folder / "001.png")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert "not a medical device" in text
    assert "p(BACTERIA)" in text
    assert row_of((folder / "001.png").read_bytes())["decision"] in text


@pytest.mark.parametrize("output", [None, "answers.csv", "answers.json"])
def test_the_worklist(standin: Standin, folder: Path, tmp_path: Path, output: str | None) -> None:
    out = tmp_path / "list.csv"
    kept = ["--output", tmp_path / output] if output else []
    done = pneumo("--endpoint", standin.grpc, "--worklist", out, *kept, folder)
    assert done.returncode == 1
    assert not done.stdout
    found = rows(out.read_bytes())
    assert len(found) == 32
    assert order(found) == sorted(order(found))
    assert {row["decision"] for row in found} == {"REFER", "POSITIVE", "NEGATIVE", "REJECTED"}
    assert {row["list"] for row in found} == {"read_first", "by_urgency", "rejected"}
    assert all(row["reason"] for row in found if row["list"] == "rejected")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"images", "list.csv", *([output] if output else [])}


def test_the_worklist_on_the_screen(standin: Standin, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "list.csv"
    pneumo("--endpoint", standin.grpc, "--worklist", out, folder)
    text = pneumo("--endpoint", standin.grpc, "--worklist", "-", folder).stdout.decode()
    heads = ["Abstained", "By falling score", "Rejected"]
    assert [text.index(head) for head in heads] == sorted(text.index(head) for head in heads)
    shown = [Path(row["file"]).name for row in rows(out.read_bytes())]
    assert [text.index(name) for name in shown] == sorted(text.index(name) for name in shown)


def test_the_worklist_and_the_answers_as_they_come(
    standin: Standin, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "list.json"
    done = pneumo("--endpoint", standin.rest, "--worklist", out, "--format", "csv", folder)
    assert [row["file"] for row in rows(done.stdout)] == [str(p) for p in sorted(folder.iterdir())]
    made = json.loads(out.read_text())
    assert sum(len(made[name]) for name in ("read_first", "by_urgency", "rejected")) == 32


def test_a_resumed_worklist_holds_all(standin: Standin, folder: Path, tmp_path: Path) -> None:
    out, answers = tmp_path / "list.json", tmp_path / "answers.csv"
    arguments = ["--endpoint", standin.rest, "--output", answers, "--worklist", out]
    pneumo(*arguments, folder)
    asked = sum(standin.calls)
    refused = pneumo(*arguments, folder)
    assert refused.returncode == 2
    assert b"is there already" in refused.stderr
    (folder / "new.png").write_bytes(PNG + b"new".ljust(100))
    pneumo(*arguments, "--resume", folder)
    assert sum(standin.calls) == asked + 1 + 1
    made = json.loads(out.read_text())
    names = [one["file"] for name in ("read_first", "by_urgency", "rejected") for one in made[name]]
    assert sorted(names) == sorted(str(path) for path in folder.iterdir())


def test_a_second_run_asks_nothing_again(standin: Standin, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.json"
    first = pneumo("--endpoint", standin.rest, "--output", out, folder)
    before = out.read_bytes()
    refused = pneumo("--endpoint", standin.rest, "--output", out, folder)
    assert refused.returncode == 2
    assert b"--resume" in refused.stderr
    asked = sum(standin.calls)
    (folder / "new.png").write_bytes(PNG + b"new".ljust(100))
    again = pneumo("--endpoint", standin.rest, "--output", out, "--resume", folder)
    assert again.returncode == first.returncode == 1
    assert out.read_bytes().startswith(before)
    assert sum(standin.calls) == asked + 1 + 1  # the new image, and the question for the classes
    assert b"33 images: 31 answered" in again.stderr


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_killed_again_and_again(standin: Standin, tmp_path: Path, suffix: str) -> None:
    """Each kill leaves a valid file; the last run leaves one answer for each image."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(300):
        (folder / f"{i:04}.png").write_bytes(PNG + str(i).encode().ljust(100, b"."))
    out = tmp_path / f"answers.{suffix}"
    standin.delay = 0.02
    command = [sys.executable, "-m", "pipeline.cli", "predict", "--endpoint", standin.rest]
    command += ["--batch-size", "4", "--output", str(out), "--resume", str(folder)]
    sizes = [0]
    for _ in range(3):
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        seen = sizes[-1]
        while (out.stat().st_size if out.exists() else 0) < seen + 2500 and run.poll() is None:
            time.sleep(0.002)
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        content = out.read_bytes()
        assert content.endswith(b"\n")
        sizes.append(len(content))
    assert sizes == sorted(set(sizes))
    last = subprocess.run(command, check=False, capture_output=True)
    assert last.returncode == 0
    lines = out.read_bytes().splitlines()
    found = (
        [row["file"] for row in rows(out.read_bytes())]
        if suffix == "csv"
        else [json.loads(line)["file"] for line in lines]
    )
    assert found == [str(path) for path in sorted(folder.iterdir())]


def test_a_server_that_goes_away(standin: Standin, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    # The first call asks for the classes.
    standin.faults.extend([200, 200, 200, 500, 500, 500])
    arguments = ["--endpoint", standin.grpc, "--output", out, "--batch-size", 4]
    done = pneumo(*arguments, "--concurrency", 1, folder)
    assert done.returncode == 2
    assert b"8 answers are in" in done.stderr
    assert b"--resume" in done.stderr
    assert b"Traceback" not in done.stderr
    assert len(rows(out.read_bytes())) == 8
    standin.faults.clear()
    assert pneumo(*arguments, "--resume", folder).returncode == 1
    assert len(rows(out.read_bytes())) == 32


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x.png"], "'--model' or '--endpoint'"),
        (["--model", ".", "--endpoint", "http://127.0.0.1:9", "README.md"], "either"),
        (["--endpoint", "http://127.0.0.1:9", "nowhere.png"], "does not exist"),
        (["--endpoint", "http://127.0.0.1:9", "--resume", "README.md"], "--output"),
        (["--endpoint", "http://127.0.0.1:9", "--output", "x.txt", "README.md"], ".csv or .json"),
        (["--endpoint", "127.0.0.1:8501", "README.md"], "give http://host:8501"),
        (["--endpoint", "http://127.0.0.1:9", "README.md"], "check that the server runs"),
        (["--endpoint", "grpc://127.0.0.1:9", "README.md"], "check that the server runs"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], says: str) -> None:
    done = pneumo(*arguments)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not done.stdout
