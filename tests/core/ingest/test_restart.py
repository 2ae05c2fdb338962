"""Repeated, killed and concurrent runs; sources that change."""

import os
import signal
import subprocess
import sys
from collections import defaultdict

import pytest

from core.ingest.job import ingest
from core.ingest.options import IngestOptions
from core.ingest.records.shards import write_shard
from core.ingest.records.work_folder import WorkFolder
from schema.errors import PneumoError
from tests.core.ingest.trees import (
    LOCAL,
    change_before_write,
    files_below,
    jpeg,
    official,
    put,
    replace_content,
    rows,
    run,
)


def test_second_run_reuses_the_data_set(ingested):
    source, dest, summary = ingested
    before = {path: path.stat().st_mtime_ns for path in dest.iterdir()}
    again = run(source, dest)
    assert again.reused
    assert not summary.reused
    assert again.model_copy(update={"reused": False}) == summary
    assert {path: path.stat().st_mtime_ns for path in dest.iterdir()} == before


def test_ingest_imports_no_tensorflow_and_reuse_neither_beam_nor_images(tmp_path):
    source = official(tmp_path / "s")
    code = (
        "import sys; from pathlib import Path; from core.ingest.job import ingest;"
        "from core.ingest.options import IngestOptions;"
        f"ingest(Path({str(source)!r}), Path({str(tmp_path / 'd')!r}), IngestOptions());"
        "print([m for m in ('apache_beam', 'tensorflow', 'PIL', 'tfx') if m in sys.modules])"
    )
    first, reused = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(2)
    )
    assert "tensorflow" not in first.stdout
    assert reused.stdout.strip() == "[]"


@pytest.mark.parametrize("change", ["added", "touched", "removed", "options"])
def test_changes_prevent_reuse(tmp_path, change):
    source = official(tmp_path / "s")
    run(source, tmp_path / "d")
    image = source / "train/NORMAL/IM-0001-0001.jpeg"
    if change == "added":
        put(source / "train/NORMAL/new.jpeg", jpeg(1234))
    elif change == "touched":
        os.utime(image, ns=(1, 1))
    elif change == "removed":
        image.unlink()
    options = {"seed": 1} if change == "options" else {}
    with pytest.raises(PneumoError, match="another source or other options"):
        run(source, tmp_path / "d", **options)
    assert not run(source, tmp_path / "d", overwrite=True, **options).reused
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "s"]


def test_overwrite_never_removes_other_files(tmp_path):
    source = official(tmp_path / "s")
    put(tmp_path / "home/thesis.tex", b"x")
    with pytest.raises(PneumoError, match="not empty and not a data set"):
        run(source, tmp_path / "home", overwrite=True)
    assert (tmp_path / "home/thesis.tex").read_bytes() == b"x"


def test_empty_destination(tmp_path):
    (tmp_path / "d").mkdir()
    assert run(official(tmp_path / "s"), tmp_path / "d").written == 58


_SLOW = """
import sys, time
from pathlib import Path
from core.ingest.records import chunks, shards
from core.ingest.job import ingest
from core.ingest.options import IngestOptions
step, source, dest = sys.argv[1:]
def stop(*_):
    print("reached", flush=True)
    time.sleep(600)
if step == "write":
    shards._encode_example = stop
elif step == "check":
    real, calls = chunks.read_unchanged, [0]
    def some(*args):
        calls[0] += 1
        return stop() if calls[0] == 70 else real(*args)
    chunks.read_unchanged = some
else:
    from core.ingest import job
    job._publish = stop
ingest(Path(source), Path(dest), IngestOptions(), beam_args=["--direct_running_mode=in_memory"])
"""


@pytest.mark.parametrize("step", ["check", "write", "publish"])
def test_killed_run_resumes(tmp_path, step):
    source = official(tmp_path / "s", patients=30)
    arguments = [sys.executable, "-c", _SLOW, step, str(source), str(tmp_path / "d")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "reached"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "d").exists()
    checks = WorkFolder(tmp_path / ".d.ingest").checks
    finished = {p: p.stat().st_mtime_ns for p in checks.glob("*.jsonl")}
    assert finished
    calls = []

    def progress(phase, done, total):
        calls.append((phase, done, total))
        if phase == "compare":  # after the checks: the finished ones are untouched
            assert all(p.stat().st_mtime_ns == then for p, then in finished.items())

    ingest(source, tmp_path / "d", IngestOptions(), beam_args=LOCAL, progress=progress)
    assert next(done for phase, done, _ in calls if phase == "check") >= 60
    run(source, tmp_path / "whole")
    assert files_below(tmp_path / "d") == files_below(tmp_path / "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "s", "whole"]


def test_two_runs_with_one_destination(tmp_path):
    import fcntl

    source = official(tmp_path / "s")
    (tmp_path / ".d.ingest").mkdir()
    with (tmp_path / ".d.ingest/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PneumoError, match="another ingest is writing"):
            run(source, tmp_path / "d")


def test_file_that_changes_during_the_run_is_rejected(tmp_path, monkeypatch):
    source = official(tmp_path / "s")
    victims = [source / "train/NORMAL/IM-0001-0001.jpeg", source / "test/NORMAL/IM-900-0001.jpeg"]
    data = bytearray(victims[0].read_bytes())
    data[-10] ^= 1

    def change():
        replace_content(victims[0], data)
        victims[1].unlink()

    change_before_write(monkeypatch, change)
    summary = run(source, tmp_path / "d")
    assert summary.reasons == {"changed_during_run": 2}
    assert (summary.found, summary.written) == (58, 56)
    indices = defaultdict(list)
    for row in rows(tmp_path / "d"):
        indices[row["shard"]].append(row["index"])
    assert all(i == list(range(len(i))) for i in indices.values())


def test_writing_a_shard_twice(tmp_path):
    work = WorkFolder(tmp_path / "w")
    for folder in (work.root, work.lists, work.rows, work.out):
        folder.mkdir()
    (work.lists / "val-00000-of-00001.tfrecord.jsonl").write_bytes(b"")
    for _ in range(2):
        write_shard(work, str(tmp_path), "val-00000-of-00001.tfrecord")
    assert [p.name for p in work.out.iterdir()] == ["val-00000-of-00001.tfrecord"]
    assert sorted(p.name for p in work.rows.iterdir()) == [
        "val-00000-of-00001.tfrecord.jsonl",
        "val-00000-of-00001.tfrecord.sha256",
    ]
