"""A watch over real runs: images land, more land, everything is killed, inputs drift."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import cached, pneumo, summary

CONFIG = """
name: watched
model: {trunk: MobileNet, weights: random, image_size: 64}
training: {epochs: 2, embedding: {batch_size: 16}}
evaluation: {resamples: 100, gate: {auc: {min: 0.0}}}
serving: {infra_validation: savedmodel}
monitor: {least: 20}
"""
ROOT = Path(__file__).parents[2]


class Watch:
    def __init__(self, folder: Path) -> None:
        self.inbox, self.data, self.work = folder / "inbox", folder / "data", folder / "work"
        self.inbox.mkdir()
        (folder / "config.yaml").write_text(CONFIG)
        self.arguments = [
            "watch", "--config", str(folder / "config.yaml"), "--data", str(self.data),
            "--inbox", str(self.inbox), "--workdir", str(self.work), "--settle", "1", "--once",
            "--min-new", "10",
        ]  # fmt: skip

    def once(self, *more: str | Path, status: int = 0) -> list[dict[str, Any]]:
        done = pneumo(*self.arguments, *more, check=False)
        assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def land(self, files: list[Path], source: Path) -> None:
        for file in files:
            dest = self.inbox / file.relative_to(source)
            dest.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, dest)

    def killed_within(self, node: str) -> None:
        """Starts it and kills the watch and its run, with SIGKILL, when a node has ended."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *self.arguments], cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        log = self.work / "watch" / "run-00001.log"
        for _ in range(6000):
            assert process.poll() is None, "it ended by itself"
            if log.is_file() and node in log.read_text():
                break
            time.sleep(0.1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def events(lines: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


@pytest.mark.slow
def test_a_watch_over_its_life(phantoms: Path, tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    files = sorted(phantoms.rglob("*.jpeg"))
    later = files[::5]

    # Nothing there; then images, and a kill in the middle of their run.
    assert [line["line"] for line in watch.once()] == ["no image there"]
    watch.land([file for file in files if file not in later], phantoms)
    watch.killed_within("StatisticsGen")
    assert not (watch.work / "run.json").exists()

    lines = watch.once()
    assert events(lines) == ["died", "start", "done"]
    assert lines[1]["reason"] == "resume"
    assert cached(watch.work)["ImportExampleGen"]  # it went on, it did not begin again
    first = summary(watch.work)
    assert first["pushed"]

    # The same again: nothing.
    assert [line["line"] for line in watch.once()] == ["nothing new"]

    # A few land: not enough; then enough.
    watch.land(later[:5], phantoms)
    lines = watch.once()
    assert events(lines) == ["took in", "wait"]
    assert lines[-1]["line"].startswith("5 new images of")
    watch.land(later, phantoms)
    assert events(watch.once("--dry-run", status=3)) == ["would take in", "would start"]
    lines = watch.once()
    assert events(lines) == ["took in", "start", "done"]
    assert lines[1]["reason"] == "new data"
    assert summary(watch.work)["pushed"] != first["pushed"]
    facts = json.loads((watch.work / "records" / "dataset.json").read_text())
    assert facts["written"] == len(files)

    # Drift: a run, once, although the data is the same.
    log = tmp_path / "inputs.jsonl"
    _moved(log)
    lines = watch.once("--logged", log)
    assert events(lines) == ["monitor", "start", "done"]
    assert lines[1]["reason"] == "drift"
    assert "comes from the cache" in lines[1]["line"]
    assert all(hit for node, hit in cached(watch.work).items() if node != "latest_blessed_model")
    assert [line["line"] for line in watch.once("--logged", log)] == [
        "nothing new in the log", "nothing new",
    ]  # fmt: skip


def _moved(log: Path) -> None:
    """Inputs that are far brighter and larger than those of training."""
    with log.open("w") as out:
        for number in range(40):
            line = {
                "time": 1e9 + number, "brightness": 230.0 + number % 20, "height": 2000,
                "width": 2400, "score": 0.99, "decision": "positive", "status": "OK",
                "patient": f"p{number}",
            }  # fmt: skip
            out.write(json.dumps(line) + "\n")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--data", "nowhere"], "is no folder"),
        (["--data", ".", "--reference", "."], "--reference is what a log is compared with"),
        (["--data", ".", "--records", "s3://a/b"], "go with --submit"),
        (["--data", ".", "--submit", "nothing.yaml"], "write it with `pneumo compile`"),
        (["--data", ".", "--set", "training.epoch=1"], "unknown key training.epoch"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: Path, more: list[str], says: str) -> None:
    done = pneumo("watch", "--workdir", tmp_path / "work", "--once", *more, check=False)

    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
