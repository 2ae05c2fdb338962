"""Which folders are versions, and which of them are to be served."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schema.errors import PneumoError
from schema.model_folder import GRAPH, version_number


@dataclass(frozen=True)
class VersionPolicy:
    """TF Serving's version policies.

    Attributes:
      latest: number of the newest versions; 0 for all.
      specific: only these, if any are given.
    """

    latest: int = 1
    specific: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "VersionPolicy":
        """Parses `latest`, `latest:N`, `all` or `specific:N,N`.

        Raises:
          PneumoError: none of these.
        """
        kind, _, rest = text.partition(":")
        if text == "all":
            return cls(latest=0)
        if text == "latest" or re.fullmatch(r"latest:0*[1-9][0-9]{0,5}", text):
            return cls(latest=int(rest or 1))
        if kind == "specific" and re.fullmatch(r"[0-9]+(,[0-9]+)*", rest):
            return cls(specific=frozenset(map(int, rest.split(","))))
        raise PneumoError(
            f"unknown version policy {text!r}: give latest, latest:N, all or specific:N,N"
        )

    def choose(self, usable: Iterable[int]) -> set[int]:
        """The versions to be served, of those that are usable."""
        ordered = sorted(set(usable), reverse=True)
        if self.specific:
            return set(self.specific.intersection(ordered))
        return set(ordered[: self.latest] if self.latest else ordered)


@dataclass(frozen=True)
class VersionFolder:
    """A folder that is a version.

    Attributes:
      folder: its path.
      fingerprint: of names, sizes and times of its files; changes while it is being written.
    """

    folder: Path
    fingerprint: int


def scan(base: Path) -> dict[int, VersionFolder]:
    """Version -> its folder; a folder that is a SavedModel itself counts as one version."""
    if (base / GRAPH).is_file():
        return {version_number(base.name) or 1: _inspect(base)}
    try:
        entries = sorted(base.iterdir(), key=lambda path: (-len(path.name), path.name))
    except OSError:
        return {}
    # "1" and "01" are one version, as for TF Serving; the shorter name comes last and wins.
    numbered = [(version_number(path.name), path) for path in entries if path.is_dir()]
    return {number: _inspect(path) for number, path in numbered if number is not None}


def _inspect(folder: Path) -> VersionFolder:
    files = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                stat = (Path(path) / name).stat()
            except OSError:
                continue  # removed meanwhile
            files.append((path, name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return VersionFolder(folder, hash(tuple(sorted(files))))


def plan(
    found: Mapping[int, VersionFolder],
    previous: Mapping[int, VersionFolder],
    broken: Mapping[int, int],
    loaded: Iterable[int],
    policy: VersionPolicy,
) -> tuple[list[int], list[int]]:
    """Compares the folder with what is served.

    Availability comes first: nothing is unloaded before everything wanted is loaded, and what was
    loaded last stays if no version is left.

    Args:
      found: this look at the folder.
      previous: the look before; a version that changed in between is still being written.
      broken: version -> fingerprint of the folder that failed to load; a changed one is tried anew.
      loaded: versions that are served.
      policy: which are to be.

    Returns:
      Versions to load, newest first, and versions to unload.
    """
    loaded = set(loaded)
    usable = {
        number
        for number, version in found.items()
        if version == previous.get(number) and broken.get(number) != version.fingerprint
    }
    # A served version whose files are touched stays: it is in memory.
    wanted = policy.choose(usable | loaded & set(found))
    load = sorted(wanted - loaded, reverse=True)
    return load, sorted(loaded - wanted) if wanted and not load else []
