"""The command `pneumo ingest`."""

import json
import shlex

import pytest

from tests.core.ingest.trees import official, put, write
from tests.support.runs.processes import pneumo


@pytest.fixture
def call(tmp_path):
    """Returns a function that runs `pneumo` in an empty folder."""
    environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "120"}

    def run(*arguments, **more):
        return pneumo(*arguments, check=False, cwd=tmp_path, environment=environment | more)

    return run


def test_the_example_of_the_help_works(call, tmp_path):
    shown = call("ingest", "--help").stdout
    example = shown.split("Example:")[1].split()
    assert example[0] == "pneumo"
    official(tmp_path / "chest_xray")
    done = call(*shlex.split(" ".join(example[1:])))
    assert done.returncode == 0, done.stderr
    assert "58 files found = 58 written + 0 rejected + 0 skipped" in done.stdout
    assert "nothing leaks" in done.stdout
    assert "not a medical device" in done.stdout
    assert "58/58" in done.stderr
    again = call(*shlex.split(" ".join(example[1:])))
    assert "exists already, unchanged" in again.stdout


def test_proxy_variables_do_not_affect_local_workers(call, tmp_path):
    official(tmp_path / "chest_xray")
    proxies = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = call("ingest", "chest_xray", "records", **proxies)
    assert done.returncode == 0, done.stderr


def test_options_reach_the_data_set(call, tmp_path):
    source = write(tmp_path / "s", [f"gesund/{n}.jpeg" for n in range(8)])
    put(source / "gesund/bad.jpeg", b"")
    put(source / "SYNTHETIC.txt", b"")
    arguments = "ingest s d --split patient --seed 7 --val-fraction .25 --test-fraction .3 --json"
    done = call(*arguments.split(), "--class-map", "gesund=normal")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "d/dataset.json").read_text())
    assert (summary["seed"], summary["policy"]) == (7, "patient")
    assert summary["options"]["test_fraction"] == 0.3
    table = call(*arguments.split()[:-1], "--class-map", "gesund=normal").stdout
    assert "SYNTHETIC" in table
    assert "empty" in table
    assert "rejects.jsonl" in table


def test_unknown_patients_are_not_said_to_be_free_of_leaks(call, tmp_path):
    write(tmp_path / "s", [f"NORMAL/{n}.jpeg" for n in range(7)])
    put(
        tmp_path / "m.csv",
        b"path,label,patient\n"
        + b"".join(
            b"NORMAL/%d.jpeg,normal,%b\n" % (n, b"P1" if n < 5 else b"nan") for n in range(7)
        ),
    )
    done = call("ingest", "s", "d", "--manifest", "m.csv")
    assert done.returncode == 0, done.stderr
    assert "nothing leaks" not in done.stdout
    assert "warning: 2 of 7 images have no known patient" in done.stdout
    assert "warning: patient P1 has 5 of 7 images" in done.stdout
    stored = json.loads((tmp_path / "d/dataset.json").read_text())
    assert sum(stored["unknown_patients"].values()) == 2
    assert len(stored["warnings"]) == 2


def test_boxes_are_reported(call, tmp_path):
    write(tmp_path / "s", [f"other/{n}.jpeg" for n in range(6)])
    put(tmp_path / "b.csv", b"filename,xmin,ymin,xmax,ymax\n1,1,2,9,9\n2,-1,2,9,9\n3,5,5,5,9")
    done = call("ingest", "s", "d", "--boxes", "b.csv", "--class-map", "other=other")
    assert done.returncode == 0, done.stderr
    line = "3 boxes read = 2 written (in 2 images, 1 clipped) + 1 rejected: box_empty 1"
    assert line in done.stdout
    wrong = call("ingest", "s", "e", "--boxes", "none.csv")
    assert (wrong.returncode, "none.csv does not exist" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("ingest none d", 2, "none does not exist"),
        ("ingest s d --class-map x", 2, "is not NAME=PATHOGEN"),
        ("ingest s d --class-map x=sick", 2, "use one of"),
        ("ingest s d --val-fraction 2", 2, "val_fraction: "),
        ("ingest s d --val-fraction 2", 2, "less than 1, not 2.0"),
        ("ingest s d --val-fraction 2 --test-fraction 3", 2, "not 2.0 (and 1 more)"),
        ("ingest s d --val-fraction .5 --test-fraction .5", 2, "pneumo: val_fraction + test_fr"),
        ("ingest s d --split given --on-leak fail", 3, "the splits leak"),
        ("ingest s", 2, "Missing argument"),
    ],
)
def test_exit_status(call, tmp_path, arguments, status, message):
    official(tmp_path / "s")
    done = call(*arguments.split())
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
