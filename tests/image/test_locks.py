"""The lock files of the image against setup.py and the lock that is tested."""

import re
import runpy
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.image.programs import ROOT

wheels = runpy.run_path(str(ROOT / "requirements/wheels.py"))


def _pins(name: str) -> set[tuple[str, str]]:
    text = (ROOT / f"requirements/lock-{name}.txt").read_text()
    pins = re.findall(r"(?m)^([\w.-]+)==([\w.+!-]+)", text)
    return {(canonicalize_name(package), version) for package, version in pins}


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_image_has_the_tested_versions_that_setup_asks_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", setup.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    untested = _pins(f"image-{name}") - _pins("glibc-ge-2.39")
    assert not [pin for pin in untested if name == "cpu" or not pin[0].startswith("nvidia-")]
    locked = dict(_pins(f"image-{name}"))
    extras = [setup["extras_require"][extra] for extra in ("cloud", "dicom", "serving")]
    for text in sum(extras, setup["install_requires"]):
        one = Requirement(text)
        if one.marker is None or one.marker.evaluate({"python_version": "3.13"}):
            assert one.specifier.contains(locked[canonicalize_name(one.name)]), text
    assert not {"pip", "pytest", "mypy", "ruff", "kagglehub"} & locked.keys()


@pytest.mark.parametrize("name", ["cpu", "gpu", "sbom"])
def test_every_package_has_a_hash(name: str) -> None:
    text = (ROOT / f"requirements/lock-image-{name}.txt").read_text()
    hashed = re.findall(r"(?m)^[\w.-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}$", text)
    assert len(hashed) == len(_pins(f"image-{name}")) > 10


def test_gpu_adds_only_nvidia_packages() -> None:
    cpu, gpu = _pins("image-cpu"), _pins("image-gpu")
    assert cpu < gpu
    assert all(package.startswith("nvidia-") for package, _ in gpu - cpu)


ANY = "it-1-py3-none-any.whl"
CP313 = "it-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
NEWER = "it-1-cp313-cp313-manylinux_2_39_x86_64.whl"
OTHERS = (
    "it-1-cp312-cp312-manylinux2014_x86_64.whl",
    "it-1-cp313-cp313-musllinux_1_2_x86_64.whl",
    "it-1-cp313-cp313-manylinux2014_aarch64.whl",
    "it-1-cp313-cp313-manylinux_2_42_x86_64.whl",
)


@pytest.mark.parametrize(
    ("names", "expected"),
    [((ANY, CP313), CP313), ((CP313, NEWER), NEWER), ((*OTHERS, ANY), ANY), (OTHERS, "source")],
)
def test_lock_holds_the_wheel_that_pip_installs(names: tuple[str, ...], expected: str) -> None:
    files = [{"name": name, "hashes": {"sha256": name}} for name in names]
    package = {"name": "it", "wheels": files, "sdist": {"hashes": {"sha256": "source"}}}
    assert wheels["hashes"](package, wheels["tags"]()) == [expected]
