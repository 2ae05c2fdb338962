from pathlib import Path

import pytest

from tests.components.pusher.pushing import contents, push


def test_a_blessed_model_appears_whole(tmp_path: Path) -> None:
    pushed = push(tmp_path, blessed=True)
    versions = list((tmp_path / "serving").iterdir())
    assert [str(v) for v in versions] == [pushed.get_string_custom_property("pushed_destination")]
    assert versions[0].name == pushed.get_string_custom_property("pushed_version")
    assert contents(versions[0]) == contents(tmp_path / "model" / "Format-Serving")


def test_versions_rise_even_within_a_second(tmp_path: Path) -> None:
    names = [
        int(push(tmp_path, blessed=True, graph=graph).get_string_custom_property("pushed_version"))
        for graph in (b"first", b"second", b"third")
    ]
    assert names == sorted(set(names))
    assert len(list((tmp_path / "serving").iterdir())) == 3


def test_what_is_not_blessed_is_not_pushed(tmp_path: Path) -> None:
    pushed = push(tmp_path, blessed=False)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists() or not list((tmp_path / "serving").iterdir())


def test_what_a_killed_push_left_is_removed(tmp_path: Path) -> None:
    debris = tmp_path / "serving" / ".pushing" / "123"
    debris.mkdir(parents=True)
    (debris / "variables").write_text("half")
    push(tmp_path, blessed=True)
    assert all(path.name.isdigit() for path in (tmp_path / "serving").iterdir())


@pytest.mark.parametrize("taken", ["99999999999", "1"])
def test_a_new_version_is_above_all_that_exist(tmp_path: Path, taken: str) -> None:
    (tmp_path / "serving" / taken).mkdir(parents=True)
    version = push(tmp_path, blessed=True).get_string_custom_property("pushed_version")
    assert int(version) > int(taken)


@pytest.mark.parametrize(
    ("blessed", "infra", "pushes"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_both_blessings_are_obeyed(blessed: bool, infra: bool, pushes: int, tmp_path: Path) -> None:
    pushed = push(tmp_path, blessed, infra)
    assert pushed.get_int_custom_property("pushed") == pushes
    serving = tmp_path / "serving"
    assert len(list(serving.iterdir()) if serving.exists() else []) == pushes


def test_the_newest_version_is_not_pushed_again(tmp_path: Path) -> None:
    """A push that was killed before it was recorded runs again."""
    first, again, other, back = (
        push(tmp_path, blessed=True, graph=graph).get_string_custom_property("pushed_version")
        for graph in (b"first", b"first", b"other", b"first")
    )
    assert first == again
    assert int(first) < int(other) < int(back)
    assert {p.name for p in (tmp_path / "serving").iterdir()} == {first, other, back}
