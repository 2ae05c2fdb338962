"""`pneumo predict --endpoint` as a user runs it: files, pipes, kills."""

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

from tests.support.runs import cli
from tests.support.stand_ins.model_server import StandInServer, row_of, start

PNG = b"\x89PNG\r\n\x1a\n"
LISTS = ("read_first", "by_urgency", "rejected")


@pytest.fixture
def standin() -> Iterator[StandInServer]:
    made = StandInServer()
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
    return cli.pneumo("predict", *arguments, stdin=stdin)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_one_row_per_file(standin: StandInServer, folder: Path, protocol: str) -> None:
    done = pneumo("--endpoint", getattr(standin, protocol), "--format", "csv", folder)
    assert done.returncode == 1  # two were rejected
    found = rows(done.stdout)
    assert [row["file"] for row in found] == [str(path) for path in sorted(folder.iterdir())]
    assert [Path(r["file"]).name for r in found if r["error"]] == ["010a.png", "020a.jpeg"]
    for row in found:
        if not row["error"]:
            assert float(row["score"]) == row_of(Path(row["file"]).read_bytes())["score"]
    summary = done.stderr.decode()
    for part in ("32 images: 30 predicted", "2 rejected", "not a medical device"):
        assert part in summary


def test_a_missing_file_does_not_stop_the_others(standin: StandInServer, folder: Path) -> None:
    given = [folder / "001.png", folder / "missing.png", folder / "002.png"]
    done = pneumo("--endpoint", standin.rest, "--format", "csv", *given)
    assert done.returncode == 1
    found = rows(done.stdout)
    assert [row["file"] for row in found] == [str(path) for path in given]
    assert [row["error"] for row in found] == ["", "cannot be read: No such file or directory", ""]


def test_file_names_from_standard_input(standin: StandInServer, folder: Path) -> None:
    names = [folder / "001.png", folder / "gone.png", folder / "002.png"]
    given = "\n".join(map(str, names)).encode()
    done = pneumo("--endpoint", standin.rest, "--json", "-", stdin=given)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in found] == list(map(str, names))
    assert found[1]["error"] == "cannot be read: No such file or directory"
    assert done.returncode == 1
    table = pneumo("--endpoint", standin.rest, names[0])
    assert table.returncode == 0
    for part in ("not a medical device", "p(BACTERIA)", row_of(names[0].read_bytes())["decision"]):
        assert part in table.stdout.decode()


@pytest.mark.parametrize("output", [None, "answers.csv", "answers.json"])
def test_worklist(standin: StandInServer, folder: Path, tmp_path: Path, output: str | None) -> None:
    out = tmp_path / "list.csv"
    kept = ["--output", tmp_path / output] if output else []
    done = pneumo("--endpoint", standin.grpc, "--worklist", out, *kept, folder)
    assert done.returncode == 1
    assert not done.stdout
    found = rows(out.read_bytes())
    assert len(found) == 32
    keys = [(LISTS.index(row["list"]), -float(row["score"] or 0)) for row in found]
    assert keys == sorted(keys)
    assert {row["list"] for row in found} == set(LISTS)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"images", "list.csv", *([output] if output else [])}
    if output is None:  # the same list as text
        text = pneumo("--endpoint", standin.grpc, "--worklist", "-", folder).stdout.decode()
        shown = [Path(row["file"]).name for row in found]
        for parts in (["Referred", "By descending score", "Rejected"], shown):
            assert [text.index(part) for part in parts] == sorted(map(text.index, parts))


def test_resume_predicts_only_new_files(
    standin: StandInServer, folder: Path, tmp_path: Path
) -> None:
    out, answers = tmp_path / "list.json", tmp_path / "answers.csv"
    arguments = ["--endpoint", standin.rest, "--output", answers]
    first = pneumo(*arguments, "--worklist", out, folder)
    before, asked = answers.read_bytes(), sum(standin.calls)
    refused = [pneumo(*arguments, folder), pneumo(*arguments, "--worklist", out, folder)]
    assert [done.returncode for done in refused] == [2, 2]
    assert all(b"exists" in done.stderr and b"--resume" in done.stderr for done in refused)
    (folder / "new.png").write_bytes(PNG + b"new".ljust(100))
    again = pneumo(*arguments, "--worklist", out, "--resume", folder)
    assert again.returncode == first.returncode == 1
    assert b"33 images: 31 predicted" in again.stderr
    assert answers.read_bytes().startswith(before)
    # The new image, and before it the names of the classes, each time.
    assert sum(standin.calls) == asked + 1 + 2
    made = json.loads(out.read_text())
    names = [one["file"] for name in LISTS for one in made[name]]
    assert sorted(names) == sorted(str(path) for path in folder.iterdir())


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_resume_after_repeated_kills(standin: StandInServer, tmp_path: Path, suffix: str) -> None:
    """Each kill leaves a valid file; the last run leaves one answer for each image."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(300):
        (folder / f"{i:04}.png").write_bytes(PNG + str(i).encode().ljust(100, b"."))
    out = tmp_path / f"answers.{suffix}"
    standin.delay = 0.02
    arguments = ["predict", "--endpoint", standin.rest, "--batch-size", "4"]
    arguments += ["--output", str(out), "--resume", str(folder)]
    sizes = [0]
    for _ in range(2):
        run = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *arguments], stderr=subprocess.DEVNULL
        )
        while (out.stat().st_size if out.exists() else 0) < sizes[-1] + 2500 and run.poll() is None:
            time.sleep(0.002)
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        content = out.read_bytes()
        assert content.endswith(b"\n")
        sizes.append(len(content))
    assert sizes == sorted(set(sizes))
    assert cli.pneumo(*arguments).returncode == 0
    lines = out.read_bytes().splitlines()
    found = rows(out.read_bytes()) if suffix == "csv" else [json.loads(line) for line in lines]
    assert [row["file"] for row in found] == [str(path) for path in sorted(folder.iterdir())]


def test_server_failure_keeps_predictions(
    standin: StandInServer, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    # The first call asks for the classes.
    standin.faults.extend([200, 200, 200, 500, 500, 500])
    arguments = ["--endpoint", standin.grpc, "--output", out, "--batch-size", 4]
    done = pneumo(*arguments, "--concurrency", 1, folder)
    assert done.returncode == 2
    assert b"8 predictions are in" in done.stderr
    assert b"--resume" in done.stderr
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
        (
            ["--endpoint", "http://127.0.0.1:9", "--output", "x.txt", "README.md"],
            ".csv, .json or .jsonl",
        ),
        (["--endpoint", "127.0.0.1:8501", "README.md"], "give http://host:8501"),
        (["--endpoint", "grpc://127.0.0.1:9", "README.md"], "check the address"),
    ],
)
def test_invalid_arguments(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("x")
    done = pneumo(*arguments)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert not done.stdout
