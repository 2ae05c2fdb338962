"""Version folders, and the policy that selects which versions are served."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schema.errors import PneumoError
from schema.model_folder import GRAPH, version_number


@dataclass(frozen=True)
class VersionPolicy:
    """Version policy, as in TensorFlow Serving.

    Attributes:
      latest: how many of the newest versions are served; 0 for all.
      specific: if not empty, only these versions are served.
    """

    latest: int = 1
    specific: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "VersionPolicy":
        """Parses `latest`, `latest:N`, `all` or `specific:N,N`.

        Raises:
          PneumoError: invalid policy.
        """
        kind, _, rest = text.partition(":")
        if text == "all":
            return cls(latest=0)
        if text == "latest" or re.fullmatch(r"latest:0*[1-9][0-9]{0,5}", text):
            return cls(latest=int(rest or 1))
        if kind == "specific" and re.fullmatch(r"[0-9]+(,[0-9]+)*", rest):
            return cls(specific=frozenset(map(int, rest.split(","))))
        raise PneumoError(
            f"unknown version policy {text!r}; choose latest, latest:N, all or specific:N,N"
        )

    def select(self, usable: Iterable[int]) -> set[int]:
        """Returns the versions to serve out of the usable ones."""
        ordered = sorted(set(usable), reverse=True)
        if self.specific:
            return set(self.specific.intersection(ordered))
        return set(ordered[: self.latest] if self.latest else ordered)


@dataclass(frozen=True)
class VersionFolder:
    """A version folder.

    Attributes:
      path: path of the folder.
      fingerprint: hash of names, sizes and times of its files; changes while they are written.
    """

    path: Path
    fingerprint: int


def scan(base: Path) -> dict[int, VersionFolder]:
    """Returns version -> folder; a folder that is itself a SavedModel counts as one version."""
    if (base / GRAPH).is_file():
        return {version_number(base.name) or 1: _inspect(base)}
    try:
        entries = sorted(base.iterdir(), key=lambda path: (-len(path.name), path.name))
    except OSError:
        return {}
    # "1" and "01" are the same version, as in TensorFlow Serving; the shorter name wins.
    numbered = [(version_number(path.name), path) for path in entries if path.is_dir()]
    return {number: _inspect(path) for number, path in numbered if number is not None}


def _inspect(folder: Path) -> VersionFolder:
    files = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                stat = (Path(path) / name).stat()
            except OSError:
                continue  # removed in the meantime
            files.append((path, name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return VersionFolder(folder, hash(tuple(sorted(files))))


def plan(
    folders: Mapping[int, VersionFolder],
    previous: Mapping[int, VersionFolder],
    broken: Mapping[int, int],
    loaded: Iterable[int],
    policy: VersionPolicy,
) -> tuple[list[int], list[int]]:
    """Returns which versions to load and to unload.

    Availability comes first: nothing is unloaded before all selected versions are loaded, and the
    last loaded version stays if no version is left.

    Args:
      folders: result of the current scan.
      previous: result of the previous scan; a folder that differs is still being written.
      broken: version -> fingerprint of a folder that failed to load; retried after a change.
      loaded: versions that are loaded.
      policy: selects the versions to serve.

    Returns:
      Versions to load, newest first, and versions to unload.
    """
    loaded = set(loaded)
    usable = {
        number
        for number, version in folders.items()
        if version == previous.get(number) and broken.get(number) != version.fingerprint
    }
    # A loaded version stays when its files change: it is in memory.
    selected = policy.select(usable | loaded & set(folders))
    load = sorted(selected - loaded, reverse=True)
    return load, sorted(loaded - selected) if selected and not load else []
