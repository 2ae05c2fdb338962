from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import PneumoError
from serving.server.versions import VersionFolder, VersionPolicy, plan, scan


def found(*numbers: int, changed: int = 1) -> dict[int, VersionFolder]:
    return {n: VersionFolder(Path(str(n)), changed) for n in numbers}


@pytest.mark.parametrize(
    "text, of, expected",
    [
        ("latest", [1, 3, 2], {3}),
        ("latest:2", [1, 3, 2], {2, 3}),
        ("latest:9", [1, 3, 2], {1, 2, 3}),
        ("all", [1, 3, 2], {1, 2, 3}),
        ("specific:1", [1, 3, 2], {1}),
        ("specific:1,7", [1, 3, 2], {1}),
        ("latest", [], set()),
        ("all", [], set()),
    ],
)
def test_policies(text: str, of: list[int], expected: set[int]) -> None:
    assert VersionPolicy.parse(text).choose(of) == expected


WRONG = (
    *("", "newest", "latest:", "latest:0", "latest:-1", "latest:x", "latest:99999999999"),
    *("specific:", "specific:a", "specific:1,", "all:1"),
)


@pytest.mark.parametrize("text", WRONG)
def test_wrong_policies(text: str) -> None:
    with pytest.raises(PneumoError, match=r"latest:N, all or specific:N,N"):
        VersionPolicy.parse(text)


LATEST = VersionPolicy()


@pytest.mark.parametrize(
    "case, now, before, broken, loaded, policy, load, unload",
    [
        ("nothing there", {}, {}, {}, [], LATEST, [], []),
        ("just come", found(1), {}, {}, [], LATEST, [], []),
        ("at rest", found(1), found(1), {}, [], LATEST, [1], []),
        ("still written", found(1, changed=2), found(1), {}, [], LATEST, [], []),
        ("newest alone", found(1, 2, 3), found(1, 2, 3), {}, [], LATEST, [3], []),
        ("swap waits for the new", found(1, 2), found(1, 2), {}, [1], LATEST, [2], []),
        ("then the old goes", found(1, 2), found(1, 2), {}, [1, 2], LATEST, [], [1]),
        ("broken is left out", found(1, 2), found(1, 2), {2: 1}, [1], LATEST, [], []),
        ("broken at the start", found(1, 2), found(1, 2), {2: 1}, [], LATEST, [1], []),
        ("repaired", found(1, 2, changed=5), found(1, 2, changed=5), {2: 1}, [1], LATEST, [2], []),
        ("newest removed", found(1), found(1, 2), {}, [2], LATEST, [1], []),
        ("back again", found(1), found(1), {}, [1, 2], LATEST, [], [2]),
        ("all removed", {}, found(1), {}, [1], LATEST, [], []),
        ("a loaded one is touched", found(1, changed=9), found(1), {}, [1], LATEST, [], []),
        ("all", found(1, 2), found(1, 2), {}, [2], VersionPolicy(latest=0), [1], []),
        (
            "specific",
            found(1, 2),
            found(1, 2),
            {},
            [2],
            VersionPolicy(specific=frozenset({1})),
            [1],
            [],
        ),
    ],
)
def test_plan(
    case: str,
    now: dict,
    before: dict,
    broken: dict,
    loaded: list,
    policy: VersionPolicy,
    load: list,
    unload: list,
) -> None:
    assert plan(now, before, broken, loaded, policy) == (load, unload), case


VERSIONS = st.sets(st.integers(1, 8))


@given(VERSIONS, VERSIONS, VERSIONS, st.integers(0, 3))
def test_something_is_always_served_and_nothing_broken_is_loaded(
    there: set[int], broken: set[int], loaded: set[int], latest: int
) -> None:
    """Whatever happens to the folder: one pass after another ends, with the newest usable ones."""
    now = found(*there)
    wrong = dict.fromkeys(broken - loaded, 1)
    policy = VersionPolicy(latest)
    served = set(loaded)
    for _ in range(20):
        load, unload = plan(now, now, wrong, served, policy)
        assert not set(load) & (set(wrong) | served)
        served |= set(load)
        if unload:
            served -= set(unload)
            assert served
        if not load and not unload:
            break
    else:
        raise AssertionError("does not come to rest")
    usable = there - set(wrong)
    assert served == (policy.choose(usable) if usable else loaded)


def test_scan(tmp_path: Path) -> None:
    for name in ("1", "007", "7", "x", "-1", "1.5", ".making-9", "\u0661"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").touch()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"x")
    seen = scan(tmp_path)
    assert set(seen) == {1, 7}
    assert seen[7].folder.name == "7"
    again = scan(tmp_path)
    assert again == seen
    (tmp_path / "1" / "variables").mkdir()
    (tmp_path / "1" / "variables" / "data").write_bytes(b"y")
    assert scan(tmp_path)[1].fingerprint != seen[1].fingerprint
    assert scan(tmp_path / "1").keys() == {1}
    assert scan(tmp_path / "nowhere") == {}
    (tmp_path / "x" / "saved_model.pb").write_bytes(b"x")
    assert scan(tmp_path / "x").keys() == {1}
