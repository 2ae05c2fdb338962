from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import PneumoError
from serving.server.versions import VersionFolder, VersionPolicy, plan, scan


def folders(*numbers: int, changed: int = 1) -> dict[int, VersionFolder]:
    return {n: VersionFolder(Path(str(n)), changed) for n in numbers}


@pytest.mark.parametrize(
    "text, usable, expected",
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
def test_policies(text: str, usable: list[int], expected: set[int]) -> None:
    assert VersionPolicy.parse(text).select(usable) == expected


INVALID = (
    *("", "newest", "latest:", "latest:0", "latest:-1", "latest:x", "latest:99999999999"),
    *("specific:", "specific:a", "specific:1,", "all:1"),
)


@pytest.mark.parametrize("text", INVALID)
def test_invalid_policies(text: str) -> None:
    with pytest.raises(PneumoError, match=r"latest:N, all or specific:N,N"):
        VersionPolicy.parse(text)


LATEST = VersionPolicy()


@pytest.mark.parametrize(
    "case, now, before, broken, loaded, policy, load, unload",
    [
        ("empty folder", {}, {}, {}, [], LATEST, [], []),
        ("new version", folders(1), {}, {}, [], LATEST, [], []),
        ("unchanged since the last poll", folders(1), folders(1), {}, [], LATEST, [1], []),
        ("still written", folders(1, changed=2), folders(1), {}, [], LATEST, [], []),
        ("newest only", folders(1, 2, 3), folders(1, 2, 3), {}, [], LATEST, [3], []),
        (
            "old version stays until the new one is loaded",
            folders(1, 2),
            folders(1, 2),
            {},
            [1],
            LATEST,
            [2],
            [],
        ),
        ("then the old one is unloaded", folders(1, 2), folders(1, 2), {}, [1, 2], LATEST, [], [1]),
        ("broken version is skipped", folders(1, 2), folders(1, 2), {2: 1}, [1], LATEST, [], []),
        ("newest broken at startup", folders(1, 2), folders(1, 2), {2: 1}, [], LATEST, [1], []),
        (
            "repaired",
            folders(1, 2, changed=5),
            folders(1, 2, changed=5),
            {2: 1},
            [1],
            LATEST,
            [2],
            [],
        ),
        ("newest removed", folders(1), folders(1, 2), {}, [2], LATEST, [1], []),
        ("then the removed one is unloaded", folders(1), folders(1), {}, [1, 2], LATEST, [], [2]),
        ("all removed", {}, folders(1), {}, [1], LATEST, [], []),
        (
            "files of a loaded version change",
            folders(1, changed=9),
            folders(1),
            {},
            [1],
            LATEST,
            [],
            [],
        ),
        ("all", folders(1, 2), folders(1, 2), {}, [2], VersionPolicy(latest=0), [1], []),
        (
            "specific",
            folders(1, 2),
            folders(1, 2),
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
def test_plan_converges_and_always_serves_a_version(
    present: set[int], broken: set[int], loaded: set[int], latest: int
) -> None:
    """Repeated polls end with the newest usable versions."""
    now = folders(*present)
    failed = dict.fromkeys(broken - loaded, 1)
    policy = VersionPolicy(latest)
    served = set(loaded)
    for _ in range(20):
        load, unload = plan(now, now, failed, served, policy)
        assert not set(load) & (set(failed) | served)
        served |= set(load)
        if unload:
            served -= set(unload)
            assert served
        if not load and not unload:
            break
    else:
        raise AssertionError("does not converge")
    usable = present - set(failed)
    assert served == (policy.select(usable) if usable else loaded)


def test_scan(tmp_path: Path) -> None:
    for name in ("1", "007", "7", "x", "-1", "1.5", ".making-9", "\u0661"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").touch()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"x")
    versions = scan(tmp_path)
    assert set(versions) == {1, 7}
    assert versions[7].path.name == "7"
    assert scan(tmp_path) == versions
    (tmp_path / "1" / "variables").mkdir()
    (tmp_path / "1" / "variables" / "data").write_bytes(b"y")
    assert scan(tmp_path)[1].fingerprint != versions[1].fingerprint
    assert scan(tmp_path / "1").keys() == {1}
    assert scan(tmp_path / "nowhere") == {}
    (tmp_path / "x" / "saved_model.pb").write_bytes(b"x")
    assert scan(tmp_path / "x").keys() == {1}
