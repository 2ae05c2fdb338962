"""The bill of materials."""

import json
from pathlib import Path
from typing import Any

import pytest

from image import sbom
from tests.image.tools import tool

DIGEST = "ab" * 32
PINS = ("alpha==1.0", "Beta_Two==2.0rc1", "delta==3")
LOCK = "# head\n" + "".join(f"{pin} \\\n    --hash=sha256:{DIGEST}\n" for pin in PINS)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A site-packages folder with three packages; the second says nothing of its licence."""
    tool("cyclonedx-py")
    for name, version, more in (
        ("alpha", "1.0", "License-Expression: MIT\n"),
        ("Beta_Two", "2.0rc1", "Requires-Dist: alpha\n"),
        ("delta", "3", "License: Apache 2.0\n"),
    ):
        info = tmp_path / "site-packages" / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}"
        (info / "METADATA").write_text(head)
        (info / "RECORD").write_text("")
    return tmp_path / "site-packages"


def by_name(bill: dict[str, Any]) -> dict[str, Any]:
    return {sbom.canonical(one["name"]): one for one in bill["components"]}


def test_locked_reads_names_versions_and_hashes() -> None:
    assert sbom.locked(LOCK) == {
        "alpha": ("1.0", [DIGEST]),
        "beta-two": ("2.0rc1", [DIGEST]),
        "delta": ("3", [DIGEST]),
    }
    assert sbom.locked("") == {}


def test_every_package_is_in_it(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(LOCK)
    (tmp_path / "debian.txt").write_text("libstdc++6 14.2.0-19 amd64\n")
    target = tmp_path / "sbom.json"
    sbom.main([str(packages), "--lock", str(tmp_path / "lock.txt"), "-o", str(target),
               "--debian", str(tmp_path / "debian.txt"), "--version", "9"])  # fmt: skip
    bill = json.loads(target.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["version"] == "9"
    found = by_name(bill)
    assert found.keys() == {"alpha", "beta-two", "delta", "libstdc++6"}
    assert found["alpha"]["purl"] == "pkg:pypi/alpha@1.0"
    assert found["alpha"]["licenses"] == [{"expression": "MIT", "acknowledgement": "declared"}] or (
        found["alpha"]["licenses"][0]["license"]["id"] == "MIT"
    )
    assert found["delta"]["licenses"][0]["license"]["name"] == "Apache 2.0"
    assert found["beta-two"]["version"] == "2.0rc1"
    assert found["beta-two"]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert found["libstdc++6"]["purl"].startswith("pkg:deb/debian/libstdc%2B%2B6@14.2.0-19")
    assert sbom.without_licence(bill) == ["Beta_Two"]
    again = target.read_bytes()
    sbom.main([str(packages), "--lock", str(tmp_path / "lock.txt"), "-o", str(target),
               "--debian", str(tmp_path / "debian.txt"), "--version", "9"])  # fmt: skip
    assert target.read_bytes() == again, "the same packages give the same bytes"


@pytest.mark.parametrize(
    ("purl", "expected"),
    [
        ("", ""),
        ("pkg:pypi/jaraco.classes@3.4.0", "pkg:pypi/jaraco-classes@3.4.0"),
        ("pkg:pypi/Beta_Two@2", "pkg:pypi/beta-two@2"),
        ("pkg:deb/debian/a.b@1", "pkg:deb/debian/a.b@1"),
    ],
)
def test_canonical_purl(purl: str, expected: str) -> None:
    assert sbom.canonical_purl(purl) == expected


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        (LOCK + "gamma==3 \\\n    --hash=sha256:00\n", "gamma 3 is missing"),
        (LOCK.replace("alpha==1.0", "alpha==1.1"), "alpha is 1.0, the lock says 1.1"),
        ("alpha==1.0\ndelta==3\n", "beta-two 2.0rc1 is not in the lock"),
    ],
)
def test_what_is_not_as_locked_is_refused(
    packages: Path, tmp_path: Path, lock: str, message: str
) -> None:
    (tmp_path / "lock.txt").write_text(lock)
    target = tmp_path / "sbom.json"
    with pytest.raises(SystemExit, match=message):
        sbom.main([str(packages), "--lock", str(tmp_path / "lock.txt"), "-o", str(target)])
    assert not target.exists()


def test_what_is_not_cyclonedx_is_not_written(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx")
    with pytest.raises(sbom.SbomError, match=r"not CycloneDX 1\.6: .*bomFormat"):
        sbom.write({"components": []}, tmp_path / "x.json")
    assert not list(tmp_path.iterdir())
