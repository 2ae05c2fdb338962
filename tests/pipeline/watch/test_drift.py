import json
from pathlib import Path

import pytest

from pipeline.watch.drift import Verdict, ask, newer, signature
from schema.errors import PneumoError

LINES = [{"time": float(second), "status": "OK"} for second in (1, 2, 3)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "inputs.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return file


@pytest.mark.parametrize(
    ("since", "lines", "until"),
    [(0.0, 3, 3.0), (1.0, 2, 3.0), (2.5, 1, 3.0), (3.0, 0, 3.0), (99.0, 0, 99.0)],
)
def test_takes_what_is_newer(
    log: Path, tmp_path: Path, since: float, lines: int, until: float
) -> None:
    assert newer(log, since, tmp_path / "part") == (lines, until)
    assert len((tmp_path / "part").read_text().splitlines()) == lines


@pytest.mark.parametrize("odd", ["no json\n", "[1]\n", '{"time": "x"}\n', '{"time": NaN}\n', "1\n"])
def test_lines_without_a_time_count_at_first_alone(log: Path, tmp_path: Path, odd: str) -> None:
    with log.open("a") as out:
        out.write(odd)

    assert newer(log, 0.0, tmp_path / "part") == (4, 3.0)
    assert newer(log, 2.0, tmp_path / "part") == (1, 3.0)


def test_a_line_that_is_being_written_waits(log: Path, tmp_path: Path) -> None:
    before = signature(log)
    with log.open("a") as out:
        out.write('{"time": 4.0, "sta')

    assert newer(log, 0.0, tmp_path / "part") == (3, 3.0)
    assert signature(log) != before


def test_a_log_that_is_not_there_is_no_drift(tmp_path: Path) -> None:
    assert ask(tmp_path / "none.jsonl", tmp_path, 0.0, tmp_path).note.endswith("not exist yet")


def test_nothing_new_does_not_ask(log: Path, tmp_path: Path) -> None:
    assert ask(log, tmp_path, 3.0, tmp_path) == Verdict(note="nothing new in the log")


def test_what_the_monitor_cannot_do_is_an_error(log: Path, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()

    with pytest.raises(PneumoError, match="monitor could not compare"):
        ask(log, tmp_path / "reference", 0.0, tmp_path / "out")
