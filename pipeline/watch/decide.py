"""Whether a run is to be started now, and why. Pure: no clock, no file."""

from dataclasses import dataclass
from typing import Final

from pipeline.watch.state import Done, Failed, Reason, Running, State

_NOTHING: Final = "nothing new"
SHRUNK: Final = 0.5  # of the images of the last run; with fewer, a file system is likely missing


@dataclass(frozen=True)
class Seen:
    """One look.

    Attributes:
      key: of the image files that lie there.
      config: digest of the configuration.
      images: that lie there.
      new: of those, settled files that the last good run did not have.
      gone: files of the last good run that are there no more.
      patients: whom the names of the new files tell and those of the last good run did not.
      unsettled: files that may still be being written.
      unreadable: folders and files that could not be looked at.
      locked: somebody else's run holds the work folder.
      drift: what the monitor found beyond its thresholds; empty: as in training, or not asked.
      drift_until: the log was looked at up to this time.
    """

    key: str
    config: str = ""
    images: int = 0
    new: int = 0
    gone: int = 0
    patients: int = 0
    unsettled: int = 0
    unreadable: int = 0
    locked: bool = False
    drift: tuple[str, ...] = ()
    drift_until: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What a user decides about starting.

    Attributes:
      min_new: new (or changed, or removed) images that are worth a run.
      min_patients: new patients that are.
      gap: seconds between two starts for new data or drift, at least.
      patience: seconds for which unsettled files are waited for; then a run starts all the same,
        and ingest rejects what is not whole.
      attempts: over the same data and configuration, at most.
      backoff: seconds after the first failure; doubled after each further one.
      longest_backoff: seconds.
    """

    min_new: int = 1
    min_patients: int = 0
    gap: float = 0.0
    patience: float = 3600.0
    attempts: int = 5
    backoff: float = 300.0
    longest_backoff: float = 6 * 3600.0


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
      reason: why a run starts; None: it does not.
      line: what a person should read.
      given_up: nothing will be tried again before data or configuration change.
      attempt: of the run that starts.
    """

    reason: Reason | None
    line: str
    given_up: bool = False
    attempt: int = 1


def settle(state: State, outcome: int | None, alive: bool, now: float) -> State:
    """Takes in how a started run ended.

    Args:
      state: as it is.
      outcome: exit status that the run left; None: it left none.
      alive: its process is there.
      now: seconds since 1970.

    Returns:
      the state; unchanged while the run is going on.
    """
    run = state.running
    if run is None or (outcome is None and alive):
        return state
    if outcome == 0:
        since = max(state.drift_since, run.drift_until or 0.0)
        return state.model_copy(
            update={
                "running": None,
                "failed": None,
                "done": Done(run=run, at=now),
                "drift_since": since,
            }
        )
    failed = Failed(run=run, at=now, status=outcome)
    return state.model_copy(update={"running": None, "failed": failed})


def begin(state: State, seen: Seen, decision: Decision, now: float) -> State:
    """The state with a run in it that is about to be started.

    Raises:
      ValueError: nothing was decided to start, or a run is going on.
    """
    if decision.reason is None or state.running is not None:
        raise ValueError("no run is to be started")
    because = state.failed.run.reason if state.failed else None
    # A second try of a run for drift still answers that drift.
    told = decision.reason in ("retry", "resume") and because == "drift" and state.failed
    until = state.failed.run.drift_until if told and state.failed else None
    run = Running(
        number=state.next,
        reason=decision.reason,
        key=seen.key,
        config=seen.config,
        images=seen.images,
        started=now,
        attempt=decision.attempt,
        drift_until=seen.drift_until if seen.drift else until,
    )
    return state.model_copy(update={"running": run, "next": state.next + 1, "waiting_since": None})


def decide(state: State, seen: Seen, rules: Rules, now: float) -> Decision:
    """Decides.

    A run that failed comes before anything new: it is tried again after a pause, and without one
    where it died (a killed machine). New data makes it a new attempt at once counted from 1.

    Args:
      state: after `settle`.
      seen: one look.
      rules: of the user.
      now: seconds since 1970.
    """
    if blocked := _blocked(state, seen):
        return Decision(None, blocked)
    failed = state.failed
    if failed is None:
        return _anew(state, seen, rules, now)
    same = (failed.run.key, failed.run.config) == (seen.key, seen.config)
    if wait := _pause(failed, same, rules, now):
        return wait
    return _again(failed, rules) if same else _anew(state, seen, rules, now)


def _again(failed: Failed, rules: Rules) -> Decision:
    number, attempt = failed.run.number, failed.run.attempt + 1
    if failed.status is None:
        return Decision("resume", f"run {number} died; the same again", attempt=attempt)
    line = f"run {number} failed; attempt {attempt} of {rules.attempts}"
    return Decision("retry", line, attempt=attempt)


def _blocked(state: State, seen: Seen) -> str:
    """Why nothing can be started, whatever the data says; empty: it can."""
    if state.running is not None:
        return f"run {state.running.number} is going on"
    if seen.locked:
        return "another run holds the work folder"
    return _not_sound(state, seen)


def _not_sound(state: State, seen: Seen) -> str:
    """Why nothing can be concluded from a look; empty: it can."""
    if seen.unreadable:
        return f"{seen.unreadable} folders or files can't be read; check the file system"
    if not seen.images:
        return "no image there"
    if state.done is not None and seen.images < SHRUNK * state.done.run.images:
        return (
            f"{seen.images} images where the last run had {state.done.run.images}: is a file "
            "system missing? If it is meant, remove the state of the watch"
        )
    return ""


def _pause(failed: Failed, same: bool, rules: Rules, now: float) -> Decision | None:
    """The pause after a failure; None: it is over."""
    if same and failed.run.attempt >= rules.attempts:
        how = "died" if failed.status is None else f"exit status {failed.status}"
        return Decision(
            None,
            f"given up after {failed.run.attempt} attempts ({how}): change the data or the "
            f"configuration; log of run {failed.run.number} says why",
            given_up=True,
        )
    if failed.status is None:
        return None
    until = failed.at + backoff(failed.run.attempt, rules)
    if failed.at <= now < until:  # a clock that was set back must not stop the watch
        return Decision(None, f"run {failed.run.number} failed; next try in {until - now:.0f} s")
    return None


def backoff(attempt: int, rules: Rules) -> float:
    """Seconds to wait after the attempt failed."""
    return min(rules.backoff * 2.0 ** min(attempt - 1, 60), rules.longest_backoff)


def _anew(state: State, seen: Seen, rules: Rules, now: float) -> Decision:
    changes = max(seen.new, seen.gone)
    reason: Reason = "drift" if seen.drift else "new data"
    told = f"{seen.new} new images of {seen.patients} new patients"
    if seen.gone:
        told += f", {seen.gone} gone or changed"
    if seen.drift:
        bare = "" if changes else "; the data is that of the last run: most comes from the cache"
        told = f"drift: {'; '.join(seen.drift)}{bare}"
    if wait := _not_yet(state, seen, rules, now, changes):
        return Decision(None, wait if wait == _NOTHING else f"{told}; {wait}")
    return Decision(reason, told)


def _not_yet(state: State, seen: Seen, rules: Rules, now: float, changes: int) -> str:
    """What new data or drift still waits for; empty: nothing."""
    waited = state.waiting_since is not None and now - state.waiting_since >= rules.patience
    last = max((end.run.started for end in (state.done, state.failed) if end), default=None)
    few = changes < rules.min_new or (seen.patients < rules.min_patients and not seen.gone)
    if not changes and not seen.unsettled and not seen.drift:
        return _NOTHING
    if seen.unsettled and not waited:
        return f"{seen.unsettled} files are still landing"
    if few and not seen.drift:
        return f"a run needs {rules.min_new} of {rules.min_patients}"
    # A clock that was set back must not stop the watch.
    if last is not None and last <= now < last + rules.gap:
        return f"the last run is too recent, {last + rules.gap - now:.0f} s to go"
    return ""
