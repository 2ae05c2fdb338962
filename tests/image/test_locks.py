"""The lock files of the image against the ranges of setup.py and the lock that is tested."""

import runpy
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.tags import Tag

from image.sbom import canonical, locked
from tests.image.tools import ROOT
from tests.support import locks

LOCKS = {
    name: locked((ROOT / f"requirements/lock-image-{name}.txt").read_text())
    for name in ("cpu", "gpu", "sbom")
}
wheels = runpy.run_path(str(ROOT / "requirements/wheels.py"))


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    captured: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", captured.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return captured


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_image_has_the_versions_that_are_tested(name: str) -> None:
    tested = locks.locked("glibc-ge-2.39", "3.13")
    differing = {
        package: (version, tested[package])
        for package, (version, _) in LOCKS[name].items()
        if package in tested and tested[package] != version
    }
    assert not differing
    untested = LOCKS[name].keys() - tested.keys()
    expected = {one for one in untested if one.startswith("nvidia-")} if name == "gpu" else set()
    assert untested == expected


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_every_range_holds_what_is_locked(name: str, setup: dict[str, Any]) -> None:
    extras = setup["extras_require"]
    wanted = [*setup["install_requires"]]
    wanted += [text for extra in ("cloud", "dicom", "serving") for text in extras[extra]]
    if name == "gpu":
        wanted += (ROOT / "requirements/image-gpu.txt").read_text().splitlines()
    count = 0
    for text in wanted:
        if text.startswith("#"):
            continue
        one = Requirement(text)
        if one.marker is None or one.marker.evaluate({"python_version": "3.13"}):
            version, _ = LOCKS[name][canonical(one.name)]
            assert one.specifier.contains(version), text
            count += 1
    assert count > 30


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_no_package_for_development(name: str, setup: dict[str, Any]) -> None:
    extras = setup["extras_require"]
    shipped = {
        canonical(Requirement(text).name)
        for group in (setup["install_requires"], *(extras[key] for key in extras if key != "dev"))
        for text in group
    }
    dev = {canonical(Requirement(text).name) for text in extras["dev"]} - shipped
    # These are asked for by packages that are shipped.
    assert dev & LOCKS[name].keys() <= {"cryptography", "filelock", "httpx"}
    assert not {"pip", "pytest", "mypy", "ruff", "kagglehub"} & LOCKS[name].keys()


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_a_hash(name: str) -> None:
    assert LOCKS[name]
    assert not [package for package, (_, hashes) in LOCKS[name].items() if not hashes]


def test_a_gpu_adds_nvidia_alone() -> None:
    assert {name: LOCKS["gpu"][name] for name in LOCKS["cpu"]} == LOCKS["cpu"]
    added = LOCKS["gpu"].keys() - LOCKS["cpu"].keys()
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= added
    assert all(name.startswith("nvidia-") for name in added)


def test_only_one_package_is_built_from_source() -> None:
    """The Dockerfile says which; more would need their build's packages locked as well."""
    assert "# rouge-score exists as source alone" in (ROOT / "image/Dockerfile").read_text()


def package(*names: str, sdist: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "it",
        "version": "1",
        "wheels": [{"name": name, "hashes": {"sha256": name}} for name in names],
    }
    return made | ({"sdist": {"hashes": {"sha256": sdist}}} if sdist else {})


ANY = "it-1-py3-none-any.whl"
CP313 = "it-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
NEWER = "it-1-cp313-cp313-manylinux_2_39_x86_64.whl"
ABI3 = "it-1-cp38-abi3-manylinux2014_x86_64.whl"
OTHERS = (
    "it-1-cp312-cp312-manylinux2014_x86_64.whl",
    "it-1-cp313-cp313t-manylinux2014_x86_64.whl",
    "it-1-cp313-cp313-musllinux_1_2_x86_64.whl",
    "it-1-cp313-cp313-manylinux2014_aarch64.whl",
    "it-1-cp313-cp313-manylinux_2_42_x86_64.whl",
    "it-1-cp313-cp313-win_amd64.whl",
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (package(ANY), ANY),
        (package(ANY, CP313), CP313),
        (package(CP313, NEWER), NEWER),
        (package(ABI3, ANY), ABI3),
        (package(*OTHERS, ANY), ANY),
        (package(*OTHERS, sdist="source"), "source"),
        (package(sdist="source"), "source"),
        (package(ANY, sdist="source"), ANY),
    ],
)
def test_the_wheel_that_pip_would_take(given: dict[str, Any], expected: str) -> None:
    assert wheels["hashes"](given, wheels["tags"]()) == [expected]


@pytest.mark.parametrize("given", [package(), package(*OTHERS)])
def test_a_package_that_cannot_be_installed_stops_it(given: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="it 1 has nothing"):
        wheels["hashes"](given, wheels["tags"]())


def test_the_best_tag_has_the_lowest_rank() -> None:
    ranks = wheels["tags"]()
    assert ranks[Tag("cp313", "cp313", "manylinux_2_41_x86_64")] == 0
    assert ranks[Tag("cp313", "cp313", "manylinux_2_17_x86_64")] < ranks[Tag("py3", "none", "any")]
