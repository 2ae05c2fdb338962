"""Reads the lock files."""

from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def lines(path: Path) -> Iterator[Requirement]:
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            yield Requirement(line)


def applies(requirement: Requirement, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.7"}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def locked(name: str, python: str) -> dict[str, str]:
    """Version of each package that the lock installs; fails where one stands twice."""
    versions: dict[str, str] = {}
    for requirement in lines(ROOT / f"requirements/lock-{name}.txt"):
        if applies(requirement, python):
            (pin,) = requirement.specifier
            assert pin.operator == "==", requirement
            assert requirement.name not in versions, f"{requirement.name} stands twice"
            versions[requirement.name] = pin.version
    return versions
