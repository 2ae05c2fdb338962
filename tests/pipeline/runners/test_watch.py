"""The watch: when a run is due, what is remembered, and failed runs that are not repeated."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import kubernetes_validate
import pytest
import yaml

from pipeline.runners.watch import ATTEMPTS, Watch, decide, list_images, read_report
from schema import storage
from schema.errors import PneumoError
from tests.support.stand_ins import stores

ROOT = Path(__file__).parents[3]
CRONJOB = ROOT / "serving/deploy/retrain/cronjob.yaml"
OLD = {"NORMAL/IM-0001-0001.jpeg": 1}
NEW = {f"PNEUMONIA/person{n // 2 + 1}_virus_{n}.jpeg": 1 for n in range(6)}  # 3 patients


@pytest.mark.parametrize(
    ("known", "images", "drift", "limits", "due", "reason"),
    [
        ({}, NEW, (), (6, 3), True, "6 new images from 3 patients"),
        (OLD, OLD | NEW, (), (6, 3), True, "6 new images from 3 patients"),
        (
            OLD,
            OLD | NEW,
            (),
            (7, 3),
            False,
            "waiting: at least 7 new images from 3 patients are needed, 6 from 3 so far",
        ),
        (
            OLD,
            OLD | NEW,
            (),
            (6, 4),
            False,
            "waiting: at least 6 new images from 4 patients are needed, 6 from 3 so far",
        ),
        (
            OLD,
            OLD,
            (),
            (1, 0),
            False,
            "waiting: at least 1 new images from 0 patients are needed, 0 from 0 so far",
        ),
        # A changed file is new, its patient is not.
        (OLD, dict.fromkeys(OLD, 2), (), (1, 0), True, "1 new images from 0 patients"),
        (OLD, OLD, ("score moved",), (9, 9), True, "drift: score moved"),
        (
            {},
            {},
            ("score moved",),
            (1, 0),
            False,
            "waiting: at least 1 new images from 0 patients are needed, 0 from 0 so far",
        ),
    ],
)
def test_decide(
    known: Any, images: Any, drift: Any, limits: tuple[int, int], due: bool, reason: str
) -> None:
    assert decide(known, images, drift, *limits) == (due, reason)


class Runs:
    """A watch whose runs append the number of images to a file and exit with `status`."""

    def __init__(self, folder: Path) -> None:
        self.inbox, self.data, self.work = folder / "inbox", folder / "data", folder / "work"
        self.status, self.ran = folder / "status", folder / "ran"
        self.inbox.mkdir()
        self.status.write_text("0")
        script = (
            "import pathlib, sys; data, ran, status = map(pathlib.Path, sys.argv[1:])\n"
            "ran.open('a').write(f'{len(list(data.rglob(\"*.jpeg\")))} ')\n"
            "sys.exit(int(status.read_text()))"
        )
        self.program = [sys.executable, "-c", script, *map(str, (self.data, self.ran, self.status))]

    def land(self, *names: str) -> None:
        for name in names:
            (self.inbox / name).parent.mkdir(exist_ok=True)
            (self.inbox / name).write_bytes(b"image")

    def check(self, **options: Any) -> int:
        given = {"settle": 0.0, **options}
        return Watch(str(self.inbox), self.data, self.work, self.program, **given).check()

    @property
    def runs(self) -> list[int]:
        return [int(n) for n in self.ran.read_text().split()] if self.ran.exists() else []


@pytest.fixture
def watch(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_new_images_are_copied_and_run_once(watch: Runs) -> None:
    assert watch.check() == 0
    watch.land("NORMAL/IM-0001-0001.jpeg")
    assert watch.check(min_new=2) == 0
    assert watch.runs == []
    watch.land("NORMAL/IM-0002-0001.jpeg")
    assert watch.check(min_new=2) == 0
    assert watch.check(min_new=2) == 0
    assert watch.runs == [2]
    watch.land("PNEUMONIA/person1_virus_1.jpeg")
    assert watch.check() == 0
    assert watch.runs == [2, 3]


def test_existing_files_are_not_overwritten(watch: Runs) -> None:
    (watch.data / "NORMAL").mkdir(parents=True)
    (watch.data / "NORMAL/a.jpeg").write_bytes(b"labelled by hand")
    watch.land("NORMAL/a.jpeg")
    assert watch.check() == 0
    assert (watch.data / "NORMAL/a.jpeg").read_bytes() == b"labelled by hand"


def test_failed_run_is_tried_three_times(watch: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    watch.land("a.jpeg")
    watch.status.write_text("1")
    assert [watch.check() for _ in range(ATTEMPTS + 2)] == [1] * (ATTEMPTS + 2)
    assert watch.runs == [1] * ATTEMPTS
    assert "stopped: 3 runs over these images failed" in capsys.readouterr().out
    watch.land("b.jpeg")
    watch.status.write_text("0")
    assert watch.check() == 0
    assert watch.check() == 0
    assert watch.runs == [1] * ATTEMPTS + [2]


def test_report_of_drift_starts_one_run(watch: Runs, tmp_path: Path) -> None:
    report = tmp_path / "monitor.json"
    watch.land("a.jpeg")
    watch.check(report=report)
    report.write_text(json.dumps({"alarms": []}))
    watch.check(report=report)
    report.write_text(json.dumps({"alarms": ["score moved"]}))
    watch.check(report=report)
    watch.check(report=report)
    assert watch.runs == [1, 1]
    report.write_text("[]")
    with pytest.raises(PneumoError, match=r"not a monitor\.json"):
        read_report(report)


def test_changing_files_and_other_files_do_not_count(watch: Runs) -> None:
    watch.land("a.jpeg", "b.txt", ".c.jpeg")
    assert list_images(str(watch.inbox), settle=60) == {}
    os.utime(watch.inbox / "a.jpeg", (time.time() - 61,) * 2)
    assert list_images(str(watch.inbox), settle=60) == {"a.jpeg": 5}


def test_an_inbox_is_searched_as_ingest_does(
    watch: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("__MACOSX/a.jpeg", "x/._a.jpeg", "x/a.JFIF", "x/a.heic", "x/scan"):
        storage.write_bytes(str(watch.inbox / name), bytes(128) + b"DICM")
    (watch.inbox / "x/loop").symlink_to(watch.inbox)
    (watch.inbox / "x/old.png").symlink_to(watch.inbox / "gone")
    assert list_images(str(watch.inbox), settle=0) == {"x/a.JFIF": 132, "x/scan": 132}
    assert "x/old.png: the link points to a missing file" in capsys.readouterr().out


def test_inbox_in_an_object_store(watch: Runs) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/watch-inbox/NORMAL/a.jpeg", b"image")
    given = Watch("memory://watch-inbox", watch.data, watch.work, watch.program)
    assert given.check() == 0
    assert (watch.data / "NORMAL/a.jpeg").read_bytes() == b"image"
    assert watch.runs == [1]


def test_inbox_in_minio(watch: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = "minio://pneumo/in box"
    given = Watch(inbox, watch.data, watch.work, watch.program)
    for name in ("PNEUMO_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PneumoError, match=r"cannot list the inbox: .*PNEUMO_S3_ENDPOINT.*\Z"):
        given.check()
    with stores.s3(tmp_path, "minio") as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        assert given.check() == 0
        storage.write_bytes(f"{inbox}/NORMAL/a[1].jpeg", b"image")
        storage.write_bytes(f"{inbox}/b.txt", b"text")
        assert given.check() == 0
    assert (watch.data / "NORMAL/a[1].jpeg").read_bytes() == b"image"
    assert watch.runs == [1]


def test_missing_inbox_and_damaged_state_are_errors(watch: Runs) -> None:
    watch.work.mkdir()
    with pytest.raises(PneumoError, match="cannot list the inbox"):
        list_images(str(watch.inbox / "none"), 0)
    (watch.work / "watch.json").write_text("{")
    with pytest.raises(PneumoError, match=r"unreadable state .*watch\.json; remove it"):
        watch.check()


def test_one_watch_and_one_run_at_a_time(watch: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    watch.land("a.jpeg")
    watch.work.mkdir()
    for name in (".lock", "watch.lock"):
        with (watch.work / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert watch.check() == 0
    assert capsys.readouterr().out.count("another run or watch is active") == 2
    assert watch.runs == []


def test_cronjob() -> None:
    from pipeline.commands.watch import command

    documents = list(yaml.safe_load_all(CRONJOB.read_text()))
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    pod = documents[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    name, *arguments = pod["containers"][0]["args"]
    assert name == "watch"
    assert command.make_context(name, list(arguments)).params["once"]
    mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
