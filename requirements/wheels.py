"""A resolution (pylock.toml on standard input) as the lines that pip installs with hashes.

Of each package only the files that fit the image's machine are named, so that a lock can be read
and nothing else can be installed: its wheels for CPython 3.13 on x86_64 with glibc up to 2.41, or,
where there is no wheel, its source.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

HEAD = """\
# Exact versions and hashes for image/Dockerfile ({name}): CPython 3.13, x86_64, glibc 2.41
# (Debian 13). Made by requirements/lock-image.sh; not to be edited by hand.
"""
PYTHON = (3, 13)
PLATFORMS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in range(41, 4, -1)),
    *(f"manylinux{name}_x86_64" for name in ("2014", "2010", "1")),
    "linux_x86_64",
]


def tags() -> dict[Tag, int]:
    """Every tag of a wheel that the image's Python takes, with its rank; 0 is the best."""
    ordered = [
        *cpython_tags(PYTHON, abis=["cp313"], platforms=PLATFORMS),
        *compatible_tags(PYTHON, "cp313", PLATFORMS),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(ordered)))}


def hashes(package: Mapping[str, Any], taken: Mapping[Tag, int]) -> list[str]:
    """The sha256 of what pip would install of a package: its best wheel, else its source.

    Raises:
      SystemExit: there is neither.
    """
    best: dict[int, set[str]] = {}
    for wheel in package.get("wheels", ()):
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
        ranks = [taken[tag] for tag in parse_wheel_filename(name)[3] if tag in taken]
        if ranks:
            best.setdefault(min(ranks), set()).add(wheel["hashes"]["sha256"])
    if best:
        return sorted(best[min(best)])
    if "sdist" in package:
        return [package["sdist"]["hashes"]["sha256"]]
    sys.exit(f"wheels: {package['name']} {package['version']} has nothing that the image can take")


def lines(lock: Mapping[str, Any], name: str) -> Iterator[str]:
    """The lock file of a name (cpu, gpu, sbom), line by line, each with its end."""
    yield HEAD.format(name=name)
    taken = tags()
    for package in lock["packages"]:
        options = [f"--hash=sha256:{digest}" for digest in hashes(package, taken)]
        yield " \\\n    ".join([f"{package['name']}=={package['version']}", *options]) + "\n"


if __name__ == "__main__":
    sys.stdout.writelines(lines(tomllib.load(sys.stdin.buffer), sys.argv[1]))
