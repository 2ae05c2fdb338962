import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.baseline.versions import copy_blessed
from schema.model_folder import same_files, versions_newest_first
from schema.storage import put, remove
from tests.components.baseline.models import saved_model


@pytest.fixture(params=["folder", "store"])
def push_to(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "serving")
        return
    uri = f"memory://baseline-{tmp_path.name}/serving"
    yield uri
    remove(uri)


def pushed(push_to: str, version: str, folder: Path) -> None:
    put(folder, f"{push_to}/{version}", last=["saved_model.pb"])


def test_nothing_is_found_where_nothing_was_pushed(push_to: str, tmp_path: Path) -> None:
    candidate = saved_model(tmp_path / "candidate")
    assert copy_blessed(push_to, candidate, tmp_path / "out") == ""
    pushed(push_to, "1", candidate)  # the candidate itself is no baseline
    assert copy_blessed(push_to, candidate, tmp_path / "out") == ""
    assert not (tmp_path / "out").exists()


def test_the_newest_of_the_same_kind_is_copied(push_to: str, tmp_path: Path) -> None:
    candidate = saved_model(tmp_path / "candidate", body="new")
    for version, name, task in [
        ("9", "demo", "binary"),
        ("10", "demo", "binary"),
        ("11", "other", "binary"),
        ("12", "demo", "three_class"),
    ]:
        pushed(push_to, version, saved_model(tmp_path / version, name, task, body=version))
    assert copy_blessed(push_to, candidate, tmp_path / "out") == "10"
    assert same_files(tmp_path / "out", tmp_path / "10")


def test_the_candidate_is_not_compared_with_itself(push_to: str, tmp_path: Path) -> None:
    candidate = saved_model(tmp_path / "candidate", body="new")
    pushed(push_to, "1", saved_model(tmp_path / "before", body="old"))
    first = copy_blessed(push_to, candidate, tmp_path / "first")
    pushed(push_to, "2", candidate)
    assert first == copy_blessed(push_to, candidate, tmp_path / "second") == "1"
    assert same_files(tmp_path / "first", tmp_path / "second")


def test_half_a_push_and_strangers_are_passed_over(push_to: str, tmp_path: Path) -> None:
    candidate = saved_model(tmp_path / "candidate", body="new")
    pushed(push_to, "3", saved_model(tmp_path / "whole", body="old"))
    half = saved_model(tmp_path / "half", body="half")
    (half / "saved_model.pb").unlink()
    pushed(push_to, "4", half)
    dumb = saved_model(tmp_path / "dumb", body="dumb")
    shutil.rmtree(dumb / "assets.extra")
    pushed(push_to, "5", dumb)
    pushed(push_to, ".pushing", saved_model(tmp_path / "staging", body="x"))
    assert versions_newest_first(push_to) == ["5", "4", "3"]
    assert copy_blessed(push_to, candidate, tmp_path / "out") == "3"


def test_a_candidate_without_valid_facts_has_no_baseline(push_to: str, tmp_path: Path) -> None:
    pushed(push_to, "1", saved_model(tmp_path / "one"))
    (tmp_path / "candidate").mkdir()
    assert copy_blessed(push_to, tmp_path / "candidate", tmp_path / "out") == ""


@pytest.mark.parametrize(
    ("change", "same"),
    [("nothing", True), ("byte", False), ("more", False), ("less", False)],
)
def test_same_files(change: str, same: bool, tmp_path: Path) -> None:
    one, other = saved_model(tmp_path / "one"), saved_model(tmp_path / "other")
    if change == "byte":
        (other / "saved_model.pb").write_text("grapH")
    elif change == "more":
        (other / "more").write_text("")
    elif change == "less":
        (other / "saved_model.pb").unlink()
    assert same_files(one, other) is same
