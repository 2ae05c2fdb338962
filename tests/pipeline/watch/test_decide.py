from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.watch.decide import Rules, Seen, backoff, begin, decide, settle
from pipeline.watch.state import Done, Failed, Running, State

NOW = 10_000.0


def run(**changes: Any) -> Running:
    return Running(**{
        "number": 1, "reason": "new data", "key": "a", "config": "c", "images": 100,
        "started": 1000.0, **changes,
    })  # fmt: skip


def done(**changes: Any) -> State:
    return State(next=2, done=Done(run=run(**changes), at=2000.0))


def failed(status: int | None = 1, at: float = 2000.0, **changes: Any) -> State:
    return State(next=2, failed=Failed(run=run(**changes), at=at, status=status))


def seen(**changes: Any) -> Seen:
    return Seen(**{"key": "b", "config": "c", "images": 110, "new": 10, "patients": 4, **changes})


SAME = {"key": "a", "images": 100, "new": 0, "patients": 0}

CASES = {
    "first look, nothing there": (State(), seen(images=0, new=0), {}, None, "no image"),
    "first look, images": (State(), seen(images=10), {}, "new data", "10 new images"),
    "nothing new": (done(), seen(**SAME), {}, None, "nothing new"),
    "new images": (done(), seen(), {}, "new data", "10 new images of 4 new patients"),
    "too few images": (done(), seen(), {"min_new": 11}, None, "needs 11"),
    "just enough images": (done(), seen(), {"min_new": 10}, "new data", ""),
    "too few patients": (done(), seen(), {"min_patients": 5}, None, "of 5"),
    "removed images count": (
        done(), seen(images=90, new=0, gone=10, patients=0), {"min_new": 10}, "new data", "10 gone"
    ),
    "most is missing": (done(), seen(images=49, new=0, gone=51), {}, None, "file system missing"),
    "half is left": (done(), seen(images=50, new=0, gone=50), {}, "new data", ""),
    "all is missing": (done(), seen(images=0, new=0, gone=100), {}, None, "no image"),
    "unreadable": (done(), seen(unreadable=1), {}, None, "can't be read"),
    "still landing": (done(), seen(unsettled=1), {}, None, "still landing"),
    "landing alone": (done(), seen(**{**SAME, "unsettled": 1}), {}, None, "still landing"),
    "waited long enough": (
        done().model_copy(update={"waiting_since": NOW - 3600}), seen(unsettled=1), {},
        "new data", "",
    ),
    "not quite long enough": (
        done().model_copy(update={"waiting_since": NOW - 3599}), seen(unsettled=1), {}, None,
        "still landing",
    ),
    "too recent": (done(started=NOW - 5), seen(), {"gap": 10}, None, "5 s to go"),
    "recent enough": (done(started=NOW - 10), seen(), {"gap": 10}, "new data", ""),
    "clock set back": (done(started=NOW + 500), seen(), {"gap": 10}, "new data", ""),
    "drift, same data": (done(), seen(**SAME, drift=("score",)), {}, "drift", "cache"),
    "drift, new data": (done(), seen(drift=("score",)), {"min_new": 99}, "drift", "drift: score"),
    "drift, too recent": (
        done(started=NOW - 5), seen(**SAME, drift=("score",)), {"gap": 10}, None, "too recent"
    ),
    "drift, still landing": (
        done(), seen(unsettled=3, drift=("score",)), {}, None, "3 files are still landing"
    ),
    "a run is going on": (State(running=run()), seen(drift=("x",)), {}, None, "going on"),
    "somebody else's run": (done(), seen(locked=True), {}, None, "holds the work folder"),
    "failed, pause": (failed(at=NOW - 299), seen(**SAME), {}, None, "next try in 1 s"),
    "failed, pause over": (failed(at=NOW - 300), seen(**SAME), {}, "retry", "attempt 2 of 5"),
    "failed twice, pause doubles": (
        failed(at=NOW - 599, attempt=2), seen(**SAME), {}, None, "next try in 1 s"
    ),
    "failed, last attempt": (failed(attempt=5), seen(**SAME), {}, None, "given up"),
    "failed, other data, pause": (failed(at=NOW - 5), seen(), {}, None, "next try"),
    "failed, other data": (failed(attempt=5), seen(), {}, "new data", ""),
    "failed, other configuration": (
        failed(attempt=5), seen(key="a", config="d"), {}, "new data", ""
    ),
    "failed, clock set back": (failed(at=NOW + 9999), seen(**SAME), {}, "retry", ""),
    "died": (failed(None, at=NOW), seen(**SAME), {}, "resume", "died"),
    "died again and again": (failed(None, attempt=5), seen(**SAME), {}, None, "given up"),
    "died, other data": (failed(None, at=NOW), seen(), {}, "new data", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_decides(name: str) -> None:
    state, look, rules, reason, line = CASES[name]

    found = decide(state, look, Rules(**rules), NOW)

    assert found.reason == reason
    assert line in found.line
    assert found.given_up == ("given up" in found.line)


@pytest.mark.parametrize(
    ("outcome", "alive", "field", "status"),
    [
        (0, False, "done", None),
        (0, True, "done", None),  # it has told its end and is about to go
        (2, False, "failed", 2),
        (None, False, "failed", None),
        (None, True, "running", None),
    ],
)
def test_takes_in_how_a_run_ended(
    outcome: int | None, alive: bool, field: str, status: int | None
) -> None:
    before = State(next=2, running=run(drift_until=77.0))

    after = settle(before, outcome, alive, NOW)

    assert getattr(after, field) is not None
    assert (after.running is not None) == (field == "running")
    assert after.drift_since == (77.0 if field == "done" else 0.0)
    if field == "failed":
        assert after.failed is not None
        assert after.failed.status == status


def test_a_failure_does_not_forget_what_was_learned_before() -> None:
    before = done().model_copy(update={"running": run(number=2, key="b")})

    after = settle(before, 1, False, NOW)

    assert after.done == before.done
    assert after.failed is not None
    assert after.failed.run.number == 2


def test_drift_that_a_run_answered_is_not_reported_twice() -> None:
    state = done()
    look = seen(**SAME, drift=("score",), drift_until=555.0)

    started = begin(state, look, decide(state, look, Rules(), NOW), NOW)

    assert settle(started, 0, False, NOW + 1).drift_since == 555.0
    # A second try of it answers the same drift, although the monitor is not asked again.
    again = settle(started, None, False, NOW + 1)
    resumed = begin(again, seen(**SAME), decide(again, seen(**SAME), Rules(), NOW + 2), NOW + 2)
    assert resumed.running is not None
    assert resumed.running.reason == "resume"
    assert settle(resumed, 0, False, NOW + 3).drift_since == 555.0


def test_nothing_starts_without_a_decision() -> None:
    with pytest.raises(ValueError, match="no run"):
        begin(done(), seen(**SAME), decide(done(), seen(**SAME), Rules(), NOW), NOW)


@given(st.integers(1, 10_000))
def test_the_pause_grows_and_is_bounded(attempt: int) -> None:
    rules = Rules()

    assert backoff(attempt, rules) <= backoff(attempt + 1, rules) <= rules.longest_backoff


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["nothing", "land", "drift", "end well", "fail", "die"]),
        st.floats(0, 1000),
    ),
    max_size=60,
)


@given(EVENTS, st.integers(1, 4))
def test_whatever_happens_data_is_neither_run_twice_nor_forgotten(
    events: list[tuple[str, float]], limit: int
) -> None:
    """Plays a watch: at the end every image was in a good run, or the watch has given up."""
    rules = Rules(attempts=limit, backoff=10.0, longest_backoff=40.0)
    state, now, images = State(), 0.0, 100
    good: list[tuple[str, str]] = []

    def look(drift: tuple[str, ...] = ()) -> Seen:
        known = state.done.run.images if state.done else 0
        return Seen(
            key=str(images), config="c", images=images, new=images - known, drift=drift,
            drift_until=now,
        )  # fmt: skip

    for event, pause in [*events, *[("end well", 50.0)] * 3]:
        now += pause
        images += event == "land"
        if state.running is not None and event in ("end well", "fail", "die"):
            run_key, reason = state.running.key, state.running.reason
            outcome = {"end well": 0, "fail": 1, "die": None}[event]
            state = settle(state, outcome, False, now)
            assert state.running is None
            if outcome == 0:
                good.append((run_key, reason))
        decision = decide(state, look(("d",) if event == "drift" else ()), rules, now)
        if decision.reason is not None:
            assert decision.attempt <= limit
            state = begin(state, look(("d",) if event == "drift" else ()), decision, now)

    # The same data is learned from twice for drift alone, or where a try for drift was repeated.
    plain = [key for key, reason in good if reason == "new data"]
    assert len(plain) == len(set(plain))
    final = decide(state, look(), rules, now + 1000)
    covered = state.done is not None and state.done.run.images == images
    assert covered or state.running is not None or final.reason is not None or final.given_up
