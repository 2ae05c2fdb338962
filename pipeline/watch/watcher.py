"""Looks, decides, starts, and looks again."""

import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.watch import listing as listings
from pipeline.watch.decide import Decision, Rules, Seen, begin, decide, settle
from pipeline.watch.drift import Verdict, ask, signature
from pipeline.watch.folder import WatchFolder, held_by_another, inherited_lock
from pipeline.watch.inbox import take_in
from pipeline.watch.listing import Listing
from pipeline.watch.state import State, read_state, write_state
from schema.errors import PneumoError


@dataclass(frozen=True)
class Watched:
    """What is watched, and what is started.

    Attributes:
      data: folder that runs read.
      work: work folder of the runs; the watch keeps its own things in `watch/` below it.
      command: module and arguments of a run; see pipeline.watch.child.
      config: the configuration as text; a change of it makes a failed run worth another try.
      rules: when a run starts.
      settle: seconds in which a file must not have changed.
      inbox: files land here and are copied into `data`; none: they land in `data`.
      logged: log of `pneumo serve`.
      reference: run whose data the log is compared with.
    """

    data: Path
    work: Path
    command: tuple[str, ...]
    config: str
    rules: Rules = field(default_factory=Rules)
    settle: float = 30.0
    inbox: Path | None = None
    logged: Path | None = None
    reference: Path | None = None


class Watcher:
    """One watch. Use it within `watcher.folder.held()`.

    Args:
      watched: what and how.
      say: takes one event, a flat dict.
      clock: seconds since 1970.
    """

    def __init__(
        self,
        watched: Watched,
        say: Callable[[dict[str, Any]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.watched, self.clock = watched, clock
        self.folder = WatchFolder(watched.work / "watch")
        self._say = say
        self._looks: dict[Path, list[tuple[float, Listing]]] = {}
        self._asked: tuple[object, Verdict] = (None, Verdict())
        self.problem = ""
        self._told: object = None
        self._config = hashlib.sha256(watched.config.encode()).hexdigest()[:16]

    def say(self, event: str, **facts: object) -> None:
        """Tells one event."""
        self._say({"time": round(self.clock(), 3), "event": event, **facts})

    def once(self, dry: bool = False) -> tuple[Decision, int | None]:
        """Looks until what has landed has come to rest (or is not worth it), decides, acts.

        Returns:
          the decision, and the exit status of the run; None where there was none.
        """
        state, seen, listing = self.look(dry)
        if seen.unsettled and self.watched.settle:
            time.sleep(self.watched.settle)
            state, seen, listing = self.look(dry)
        return self.act(state, seen, listing, dry)

    def look(self, dry: bool = False) -> tuple[State, Seen, Listing]:
        """Settles what a run left, takes in the inbox and lists the data."""
        state = self._settled(read_state(self.folder.state), dry)
        watched, landing, coming, rested = self.watched, 0, 0, listings.nothing()
        if watched.inbox is not None:
            landing, coming, rested = self._take_in(watched.inbox, dry)
        now = self._look(watched.data)
        done = state.done
        known = listings.read(self.folder.listing(done.run.number)) if done else listings.nothing()
        new = now.without(known)
        # What the watch itself copied appeared whole.
        settled = new if watched.inbox is not None else new.within(self._rested(watched.data))
        unsettled = len(new) - len(settled) + landing
        verdict = self._drift(state)
        seen = Seen(
            key=now.key,
            config=self._config,
            images=len(now) + coming,
            new=len(settled) + coming,
            gone=len(known.without(now)),
            patients=listings.more_people(known, settled, *([rested] if coming else [])),
            unsettled=unsettled,
            unreadable=now.unreadable,
            locked=held_by_another(watched.work / ".lock"),
            drift=verdict.drift,
            drift_until=verdict.until,
        )
        waiting = (state.waiting_since or self.clock()) if unsettled else None
        if waiting != state.waiting_since:
            state = state.model_copy(update={"waiting_since": waiting})
            self._keep(state, dry)
        return state, seen, now

    def act(
        self, state: State, seen: Seen, listing: Listing, dry: bool = False
    ) -> tuple[Decision, int | None]:
        """Decides and, where a run is due, starts it and waits for it."""
        decision = decide(state, seen, self.watched.rules, self.clock())
        if decision.reason is None:
            # Seconds that run down are no news.
            told = (re.sub(r"\d+", "", decision.line), seen.images, seen.new)
            if told != self._told:
                self.say("wait", line=decision.line, images=seen.images, new=seen.new)
            self._told = told
            return decision, None
        self._told = None
        if dry:
            self.say("would start", reason=decision.reason, line=decision.line)
            return decision, None
        state = begin(state, seen, decision, self.clock())
        assert state.running is not None
        number = state.running.number
        # In this order: whoever finds the state finds what it names, and no outcome of a run of the
        # same number that a removed state had.
        self.folder.outcome(number).unlink(missing_ok=True)
        listings.write(listing, self.folder.listing(number))
        with inherited_lock(self.folder.lock(number)) as lock:
            write_state(state, self.folder.state)
            self.say(
                "start", run=number, reason=decision.reason, line=decision.line,
                attempt=decision.attempt, images=seen.images,
            )  # fmt: skip
            child = self._start(number, lock)
        status = _wait(child)
        self._settled(state, dry=False)
        return decision, status

    def _start(self, number: int, lock: int) -> subprocess.Popen[bytes]:
        outcome = self.folder.outcome(number)
        command = [sys.executable, "-m", "pipeline.watch.child", str(outcome)]
        with self.folder.output(number).open("ab") as output:
            return subprocess.Popen(
                [*command, *self.watched.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
            )

    def _settled(self, state: State, dry: bool) -> State:
        run = state.running
        if run is None:
            return state
        status = self.folder.status(run.number)
        after = settle(state, status, self.folder.alive(run.number), self.clock())
        if after is state:
            return state
        how = "done" if status == 0 else "died" if status is None else "failed"
        log = {} if status == 0 else {"log": str(self.folder.output(run.number))}
        self.say(how, run=run.number, reason=run.reason, attempt=run.attempt, status=status, **log)
        self._keep(after, dry)
        if not dry:
            ends = (after.done, after.failed)
            self.folder.clean({end.run.number for end in ends if end})
        return after

    def _keep(self, state: State, dry: bool) -> None:
        if not dry:
            write_state(state, self.folder.state)

    def _take_in(self, inbox: Path, dry: bool) -> tuple[int, int, Listing]:
        """Copies what has come to rest.

        Returns:
          how many files have not; in a dry run how many would be copied; all that has.
        """
        found = self._look(inbox)
        if found.unreadable:
            raise PneumoError(f"{inbox}: {found.unreadable} entries can't be read")
        rested = found.within(self._rested(inbox))
        taken = take_in(inbox, self.watched.data, rested.has, dry)
        if taken.copied:
            self.say("would take in" if dry else "took in", files=taken.copied, inbox=str(inbox))
        for path in taken.conflicts[:10]:
            self.say(
                "conflict", line=f"{path} lies in the data with other content; left", file=path
            )
        return taken.landing, taken.copied if dry else 0, rested

    def _look(self, folder: Path) -> Listing:
        """Lists a folder and remembers it with its time."""
        found = listings.look(folder)
        looks = self._looks.setdefault(folder, [])
        looks.append((self.clock(), found))
        # All that is younger than `settle`, and the one before.
        while len(looks) > 1 and looks[1][0] <= self.clock() - self.watched.settle:
            looks.pop(0)
        return found

    def _rested(self, folder: Path) -> Listing:
        """A look that is at least `settle` old; without one, nothing has come to rest."""
        looks = self._looks.get(folder, [])
        if not self.watched.settle:
            return looks[-1][1]
        at, found = looks[0]
        return found if at <= self.clock() - self.watched.settle else listings.nothing()

    def _drift(self, state: State) -> Verdict:
        watched = self.watched
        if watched.logged is None or state.running is not None:
            return Verdict()
        reference = watched.reference or watched.work
        if not any(reference.glob("run.json")) and not any(reference.glob("*.tfrecord")):
            return Verdict()  # nothing was learned yet
        self.problem = ""
        key = (signature(watched.logged) if watched.logged.exists() else (), state.drift_since)
        if key == self._asked[0]:
            return self._asked[1]
        folder = self.folder.root / "monitor"
        try:
            verdict = ask(watched.logged, reference, state.drift_since, folder)
        except PneumoError as error:
            # New data must not wait for a log that is damaged.
            self.problem = str(error)
            self.say("problem", line=self.problem)
            verdict = Verdict()
        self._asked = (key, verdict)
        if self.problem:
            return verdict
        if verdict.note:
            self.say("monitor", line=verdict.note)
        else:
            self.say("monitor", line="moved" if verdict.drift else "as in training",
                     alarms=list(verdict.drift))  # fmt: skip
        return verdict


GRACE: Final = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, None))


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Waits for a run; a watch that is stopped stops it too: politely first, then not."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        for number, seconds in GRACE:
            child.send_signal(number)
            try:
                child.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        raise


def run_command(
    source: str, data: Path, work: Path, weights: Path | None, more: Sequence[str]
) -> tuple[str, ...]:
    """A run on this machine."""
    given = ("--weights", str(weights)) if weights else ()
    return (
        "pipeline.cli", "run", "--config", source, "--data", str(data), "--workdir", str(work),
        *given, *more,
    )  # fmt: skip


def json_line(event: dict[str, Any]) -> str:
    """One line of the log."""
    return json.dumps(event, ensure_ascii=False, default=str)
