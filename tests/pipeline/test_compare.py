import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.reporting.compare.runs import PROCESS, RUN, configuration_folder
from core.reporting.run_outputs import read_json_object
from pipeline.compare import Child, keep, reason, spawn
from schema.errors import PneumoError

ROOT = Path(__file__).parents[2]


def child(code: str, **extra: str) -> Child:
    return spawn("name", [sys.executable, "-c", code], extra)


def test_peak_memory_is_measured_per_child() -> None:
    # In a small process: a child starts with the memory of its parent, and this one is large.
    code = """
import json, sys
from pipeline.compare import spawn
for text in ("x = bytearray(300 * 2**20)", "pass"):
    print(json.dumps(vars(spawn("name", [sys.executable, "-c", text], {}))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    large, small = (json.loads(line) for line in done.stdout.splitlines())
    assert large["status"] == small["status"] == 0
    assert large["error"] == small["error"] == ""
    assert large["peak_rss_mib"] > small["peak_rss_mib"] + 200


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (
            "import sys; print('noise\\npneumo: no such file   log: x', file=sys.stderr); "
            "sys.exit(2)",
            2,
            "no such file   log: x",
        ),
        ("raise ValueError('a defect')", 1, "ValueError: a defect"),
        ("import sys; sys.exit(7)", 7, "exit status 7"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            -9,
            "killed by signal 9 (out of memory?)",
        ),
    ],
)
def test_failure_is_one_line(code: str, status: int, error: str) -> None:
    done = child(code)
    assert (done.status, done.error) == (status, error)
    assert reason(["first", "last"], 1) == "last"  # no line is ours


def test_child_imports_this_package_and_gets_the_environment(tmp_path: Path) -> None:
    out = tmp_path / "said"
    code = f"import os, pipeline; open({str(out)!r}, 'w').write(os.environ['PNEUMO_WEIGHTS'])"
    assert child(code, PNEUMO_WEIGHTS="/some/where").status == 0
    assert out.read_text() == "/some/where"


def test_interrupt_stops_the_comparison() -> None:
    with pytest.raises(KeyboardInterrupt):
        child("import sys; sys.exit(130)")


def left_by_a_run(work: Path, cached: bool, model: str) -> None:
    work.mkdir(exist_ok=True)
    node = {"name": "Trainer", "cached": cached, "outputs": {"model": [model]}}
    (work / RUN).write_text(json.dumps({"nodes": [node]}))


def record(work: Path, cached: bool, model: str, mib: float) -> dict[str, Any]:
    left_by_a_run(work, cached, model)
    keep(work, Child("name", 0, 10.0, mib, ""))
    return read_json_object(configuration_folder(work, "name") / PROCESS)


def test_measurements_of_training_survive_cached_runs(tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert record(work, True, "m1", 100)["trained"] is None  # trained by an earlier `pneumo run`
    first = record(work, False, "m1", 2000)["trained"]
    assert first["peak_rss_mib"] == 2000
    again = record(work, True, "m1", 300)
    assert again["trained"] == first
    assert again["peak_rss_mib"] == 300
    assert record(work, True, "other", 300)["trained"] is None


def test_failure_removes_the_old_result(tmp_path: Path) -> None:
    record(tmp_path, False, "m1", 2000)
    folder = configuration_folder(tmp_path, "name")
    assert (folder / RUN).is_file()
    keep(tmp_path, Child("name", 2, 1.0, 50.0, "no weights"))
    assert not (folder / RUN).exists()
    assert read_json_object(folder / PROCESS)["error"] == "no weights"
    assert [path.name for path in folder.iterdir()] == [PROCESS]


def test_damaged_record_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(PneumoError, match=r"x\.json is not valid JSON: delete it"):
        read_json_object(tmp_path / "x.json")
