"""The lock files against the ranges of setup.py, for each Python that set-up accepts."""

import runpy
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement

from tests.support.locks import ROOT, lines, locked

LOCKS = {
    "glibc-lt-2.39": ("3.11",),
    "glibc-ge-2.39": ("3.11", "3.12", "3.13"),
}
CASES = [(name, python) for name, pythons in LOCKS.items() for python in pythons]


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[Requirement]:
    captured: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", captured.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    extras = captured["extras_require"]
    names = ("dev", "dicom", "kaggle", "serving")
    wanted = [*captured["install_requires"], *(text for name in names for text in extras[name])]
    return [Requirement(text) for text in wanted]


@pytest.mark.parametrize(("name", "python"), CASES)
def test_every_range_holds_what_is_locked(
    name: str, python: str, ranges: list[Requirement]
) -> None:
    versions = locked(name, python)
    outside = [
        f"{wanted} has {versions.get(wanted.name.lower(), 'nothing')}"
        for wanted in ranges
        if not wanted.specifier.contains(versions.get(wanted.name.lower(), "0"))
    ]
    assert not outside


@pytest.mark.parametrize("name", LOCKS)
def test_overrides_are_what_is_locked(name: str) -> None:
    versions = locked(name, "3.11")
    overrides = list(lines(ROOT / f"requirements/overrides-{name}.txt"))
    assert overrides
    for override in overrides:
        assert override.specifier.contains(versions[override.name]), override


def test_the_locks_differ_in_the_packages_of_the_c_library_alone() -> None:
    old, new = (locked(name, "3.11") for name in LOCKS)
    differing = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    # ml-metadata 1.21 holds attrs below 24.
    assert differing == {"ml-metadata", "tensorflow-data-validation", "attrs"}
