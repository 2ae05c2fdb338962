import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.watch.decide import Decision, Rules
from pipeline.watch.folder import WatchFolder
from pipeline.watch.state import State, read_state
from pipeline.watch.watcher import Watched, Watcher
from schema.errors import PneumoError

ROOT = Path(__file__).parents[3]


class Place:
    """A folder with data, a stand-in for runs, and a watch over both."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.changes = {"settle": 0.0, "rules": Rules(backoff=0.0), **changes}
        (folder / "data").mkdir(parents=True)
        self.order("0")
        self.events: list[dict[str, Any]] = []

    def order(self, what: str) -> None:
        partial = self.folder / "order.partial"
        partial.write_text(what)
        partial.replace(self.folder / "order")

    def land(self, *names: str, where: str = "data") -> None:
        for name in names:
            file = self.folder / where / "NORMAL" / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(name.encode())

    def watcher(self, **changes: Any) -> Watcher:
        watched = Watched(
            data=self.folder / "data",
            work=self.folder / "work",
            command=("tests.pipeline.watch.stand_in", str(self.folder)),
            config="",
            **{**self.changes, **changes},
        )
        made = Watcher(watched, self.events.append)
        made.folder.make()
        return made

    def once(self, dry: bool = False, **changes: Any) -> tuple[Decision, int | None]:
        return self.watcher(**changes).once(dry)

    @property
    def ran(self) -> list[int]:
        file = self.folder / "ran"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    @property
    def state(self) -> State:
        return read_state(WatchFolder(self.folder / "work" / "watch").state)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)


def test_runs_once_for_what_landed(place: Place) -> None:
    assert place.once()[0].line == "no image there"
    place.land("a", "b")

    decision, status = place.once()

    assert (decision.reason, status) == ("new data", 0)
    assert place.once()[0].line == "nothing new"
    place.land("c")
    assert place.once()[0].line.startswith("1 new images of 1 new patients")
    assert place.ran == [2, 3]
    assert [event["event"] for event in place.events if event["event"] != "wait"] == [
        "start", "done", "start", "done",
    ]  # fmt: skip


def test_a_run_that_failed_is_tried_again_and_given_up(place: Place) -> None:
    place.land("a")
    place.order("2")
    rules = Rules(attempts=3, backoff=0.0)

    found = [place.once(rules=rules) for _ in range(4)]

    assert [decision.reason for decision, _ in found] == ["new data", "retry", "retry", None]
    assert [status for _, status in found] == [2, 2, 2, None]
    assert found[-1][0].given_up
    place.order("0")
    place.land("b")
    assert place.once(rules=rules)[0].reason == "new data"
    assert place.ran == [1, 1, 1, 2]


@pytest.mark.parametrize(("order", "status"), [("crash", 1), ("7", 7)])
def test_any_end_is_written_down(place: Place, order: str, status: int) -> None:
    place.land("a")
    place.order(order)

    assert place.once()[1] == status

    failed = place.state.failed
    assert failed is not None
    assert failed.status == status
    log = next(event["log"] for event in place.events if event["event"] == "failed")
    assert ("crashed" in Path(log).read_text()) == (order == "crash")


def test_a_run_that_died_goes_on(place: Place) -> None:
    place.land("a")
    place.order("die")
    assert place.once()[1] == -signal.SIGKILL
    place.order("0")

    decision, status = place.once()

    assert (decision.reason, status, place.ran) == ("resume", 0, [1, 1])
    assert place.once()[0].reason is None


WATCH = """
import signal
import sys
from pathlib import Path
from pipeline.watch.decide import Rules
from pipeline.watch.watcher import Watched, Watcher
# Where tests run in the background, the shell has told all of them to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
watched = Watched(folder / "data", folder / "work", ("tests.pipeline.watch.stand_in", str(folder)),
                  "", Rules(backoff=0.0), settle=0.0)
watcher = Watcher(watched, print)
watcher.folder.make()
with watcher.folder.held():
    watcher.once()
"""


def started(place: Place) -> "subprocess.Popen[bytes]":
    """A watch in a process of its own, whose run waits."""
    place.order("wait")
    process = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(place.folder)], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: place.ran == [1])
    return process


def until(true: Any) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_watch_that_was_killed_finds_its_run_going_on(place: Place) -> None:
    place.land("a")
    process = started(place)
    process.kill()
    process.wait()

    assert place.once()[0].line == "run 1 is going on"
    place.order("0")
    folder = WatchFolder(place.folder / "work" / "watch")
    until(lambda: not folder.alive(1))

    assert place.once()[0].line == "nothing new"
    assert place.ran == [1]


def test_a_watch_and_its_run_that_were_killed_go_on(place: Place) -> None:
    place.land("a")
    process = started(place)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    folder = WatchFolder(place.folder / "work" / "watch")
    until(lambda: not folder.alive(1))
    place.order("0")

    decision, status = place.once()

    assert (decision.reason, decision.attempt, status) == ("resume", 2, 0)
    assert place.ran == [1, 1]


def test_killed_between_the_state_and_the_start(place: Place) -> None:
    place.land("a")
    watcher = place.watcher()
    watcher._start = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        watcher.once()
    assert place.state.running is not None

    assert place.once()[0].reason == "resume"
    assert place.ran == [1]


def test_one_watch_at_a_time(place: Place) -> None:
    with place.watcher().folder.held(), pytest.raises(PneumoError, match="another watch"):  # noqa: SIM117
        with place.watcher().folder.held():
            pass


def test_a_dry_run_changes_nothing(place: Place) -> None:
    place.land("a")
    place.land("b", where="inbox")

    decision, status = place.once(dry=True, inbox=place.folder / "inbox")

    assert (decision.reason, status) == ("new data", None)
    assert decision.line == "2 new images of 2 new patients"
    assert place.ran == []
    assert not (place.folder / "work" / "watch" / "state.json").exists()
    assert [path.name for path in (place.folder / "data").rglob("*.png")] == ["a.png"]


def test_files_that_change_are_waited_for(place: Place) -> None:
    """The clock is the test's own, so that no time passes."""
    now = [1000.0]
    place.land("a")
    watcher = Watcher(
        Watched(place.folder / "data", place.folder / "work", place.watcher().watched.command, "",
                settle=30.0),
        place.events.append, lambda: now[0],
    )  # fmt: skip

    def step(seconds: float) -> Decision:
        now[0] += seconds
        return watcher.act(*watcher.look())[0]

    assert "still landing" in step(0).line
    assert "still landing" in step(29).line
    place.land("b")
    assert "1 files are still landing" in step(1).line  # a has come to rest, b has not
    assert "still landing" in step(29).line
    assert step(1).reason == "new data"
    assert place.ran == [2]


def test_a_stream_that_never_ends_does_not_hold_up_for_ever(place: Place) -> None:
    now = [1000.0]
    watcher = Watcher(
        Watched(place.folder / "data", place.folder / "work", place.watcher().watched.command, "",
                Rules(patience=100.0), settle=30.0),
        place.events.append, lambda: now[0],
    )  # fmt: skip
    lines = []
    for number in range(13):
        place.land(str(number))
        lines.append(watcher.act(*watcher.look())[0])
        now[0] += 10.0

    assert [decision.reason for decision in lines[:10]] == [None] * 10
    assert "new data" in [decision.reason for decision in lines[10:]]


def test_an_inbox_is_taken_in_as_it_comes_to_rest(place: Place) -> None:
    now = [1000.0]
    watcher = Watcher(
        Watched(place.folder / "data", place.folder / "work", place.watcher().watched.command, "",
                Rules(patience=0.0), settle=30.0, inbox=place.folder / "inbox"),
        place.events.append, lambda: now[0],
    )  # fmt: skip
    place.land("a", where="inbox")
    assert watcher.act(*watcher.look())[0].line == "no image there"
    now[0] += 30
    place.land("late", where="inbox")

    assert watcher.act(*watcher.look())[0].reason == "new data"

    assert place.ran == [1]  # what was not at rest stayed where it was
    now[0] += 30
    assert watcher.act(*watcher.look())[0].reason == "new data"
    assert place.ran == [1, 2]
    assert len(list((place.folder / "inbox").rglob("*.png"))) == 2


def test_a_state_that_cannot_be_read_is_not_guessed(place: Place) -> None:
    place.land("a")
    watch = place.watcher()
    watch.folder.state.write_text('{"next": "many"}')

    with pytest.raises(PneumoError, match=r"state\.json can't be read"):
        watch.once()


def test_a_damaged_log_does_not_hold_up_new_data(place: Place) -> None:
    log = place.folder / "inputs.jsonl"
    log.write_text("no json\n")
    (place.folder / "work").mkdir()
    (place.folder / "work" / "run.json").write_text("{}")
    place.land("a")
    watcher = place.watcher(logged=log)

    decision, status = watcher.once()

    assert (decision.reason, status) == ("new data", 0)
    assert "monitor could not compare" in watcher.problem


def test_a_watch_that_is_stopped_stops_its_run(place: Place) -> None:
    place.land("a")
    process = started(place)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=120)

    assert not WatchFolder(place.folder / "work" / "watch").alive(1)
    place.order("0")
    assert place.once()[0].reason == "resume"


def test_a_removed_state_starts_afresh(place: Place) -> None:
    place.land("a")
    place.once()
    WatchFolder(place.folder / "work" / "watch").state.unlink()
    place.order("die")

    assert place.once()[1] == -signal.SIGKILL

    # What the first run 1 left must not speak for the second.
    assert place.state.failed is not None
    place.order("0")
    assert place.once()[0].reason == "resume"
