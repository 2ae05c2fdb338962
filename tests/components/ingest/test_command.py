"""`pneumo ingest` as a user calls it."""

import json
import shlex
import subprocess
import sys

import pytest

from tests.components.ingest.trees import official, put, write


def _pneumo(*arguments, cwd, **more):
    code = "from pipeline.cli import main; main()"
    environment = {
        "PYTHONPATH": str(cwd["repo"]),
        "PATH": "/usr/bin:/bin",
        "COLUMNS": "120",
        **more,
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd["work"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def cwd(tmp_path, request):
    return {"work": tmp_path, "repo": request.config.rootpath}


def test_the_example_of_the_help_works(cwd):
    shown = _pneumo("ingest", "--help", cwd=cwd).stdout
    example = shown.split("Example:")[1].split()
    assert example[0] == "pneumo"
    official(cwd["work"] / "chest_xray")
    done = _pneumo(*shlex.split(" ".join(example[1:])), cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "58 files found = 58 written + 0 rejected + 0 skipped" in done.stdout
    assert "nothing leaks" in done.stdout
    assert "not a medical device" in done.stdout
    assert "58/58" in done.stderr
    again = _pneumo(*shlex.split(" ".join(example[1:])), cwd=cwd)
    assert "there already, unchanged" in again.stdout


def test_a_proxy_of_the_environment_is_for_the_world(cwd):
    official(cwd["work"] / "chest_xray")
    nobody = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = _pneumo("ingest", "chest_xray", "records", cwd=cwd, **nobody)
    assert done.returncode == 0, done.stderr


def test_options_reach_the_data_set(cwd):
    source = write(cwd["work"] / "s", [f"gesund/{n}.jpeg" for n in range(8)])
    put(source / "gesund/bad.jpeg", b"")
    put(source / "SYNTHETIC.txt", b"")
    arguments = "ingest s d --split patient --seed 7 --val-fraction .25 --test-fraction .3 --json"
    done = _pneumo(*arguments.split(), "--class-map", "gesund=normal", cwd=cwd)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((cwd["work"] / "d/dataset.json").read_text())
    assert (summary["seed"], summary["policy"]) == (7, "patient")
    assert summary["options"]["test_fraction"] == 0.3
    table = _pneumo(*arguments.split()[:-1], "--class-map", "gesund=normal", cwd=cwd).stdout
    assert "SYNTHETIC" in table
    assert "empty" in table
    assert "rejects.jsonl" in table


def test_boxes_are_told(cwd):
    write(cwd["work"] / "s", [f"other/{n}.jpeg" for n in range(6)])
    put(cwd["work"] / "b.csv", b"filename,xmin,ymin,xmax,ymax\n1,1,2,9,9\n2,-1,2,9,9\n3,5,5,5,9")
    done = _pneumo("ingest", "s", "d", "--boxes", "b.csv", "--class-map", "other=other", cwd=cwd)
    assert done.returncode == 0, done.stderr
    told = "3 boxes read = 2 written (in 2 images, 1 clipped) + 1 rejected: box_empty 1"
    assert told in done.stdout
    wrong = _pneumo("ingest", "s", "e", "--boxes", "none.csv", cwd=cwd)
    assert (wrong.returncode, "none.csv does not exist" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ("ingest none d", 2, "none does not exist"),
        ("ingest s d --class-map x", 2, "is no FOLDER=PATHOGEN"),
        ("ingest s d --class-map x=sick", 2, "a folder stands for one of"),
        ("ingest s d --val-fraction 2", 2, "val_fraction: "),
        ("ingest s d --split given --on-leak fail", 3, "the splits leak"),
        ("ingest s", 2, "Missing argument"),
    ],
)
def test_exit_status(cwd, arguments, status, says):
    official(cwd["work"] / "s")
    done = _pneumo(*arguments.split(), cwd=cwd)
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr
