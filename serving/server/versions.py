"""Which folders are versions, which of them are to be served. Pure, but for `scan`."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schema.errors import PneumoError

GRAPH = "saved_model.pb"
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Policy:
    """TF Serving's version policies.

    Attributes:
      latest: so many of the newest; 0: all.
      specific: these alone, if any are given.
    """

    latest: int = 1
    specific: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Reads `latest`, `latest:N`, `all` or `specific:N,N`.

        Raises:
          PneumoError: it is none of these.
        """
        kind, _, rest = text.partition(":")
        if text == "all":
            return cls(latest=0)
        if text == "latest" or re.fullmatch(r"latest:0*[1-9][0-9]{0,5}", text):
            return cls(latest=int(rest or 1))
        if kind == "specific" and re.fullmatch(r"[0-9]+(,[0-9]+)*", rest):
            return cls(specific=frozenset(map(int, rest.split(","))))
        raise PneumoError(
            f"version policy {text!r} is not known; give latest, latest:N, all or specific:N,N"
        )

    def choose(self, usable: Iterable[int]) -> set[int]:
        """Those to be served, of versions that are not known to be broken."""
        newest_first = sorted(set(usable), reverse=True)
        if self.specific:
            return set(self.specific.intersection(newest_first))
        return set(newest_first[: self.latest] if self.latest else newest_first)


@dataclass(frozen=True)
class Found:
    """A folder that is a version.

    Attributes:
      folder: where it is.
      print: of names, sizes and times of its files; equal while nobody writes there.
      complete: it holds the graph of a SavedModel.
    """

    folder: Path
    print: int
    complete: bool


def scan(base: Path) -> dict[int, Found]:
    """Version -> its folder. A folder that is a SavedModel itself counts as one version."""
    if (base / GRAPH).is_file():
        number = int(base.name) if _NUMBER.fullmatch(base.name) else 1
        return {number: _look(base)}
    try:
        entries = sorted(base.iterdir())
    except OSError:
        return {}
    # "1" and "01" are one version, as they are to TF Serving; the shorter name is taken.
    return {
        int(path.name): _look(path)
        for path in sorted(entries, key=lambda path: -len(path.name))
        if _NUMBER.fullmatch(path.name) and path.is_dir()
    }


def _look(folder: Path) -> Found:
    seen = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.stat(os.path.join(path, name))  # noqa: PTH118, PTH116
            except OSError:
                continue  # it went away meanwhile; the next look tells
            seen.append((path, name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return Found(folder, hash(tuple(sorted(seen))), (folder / GRAPH).is_file())


@dataclass(frozen=True)
class Plan:
    """What a look at the folder asks for.

    Attributes:
      load: versions, newest first.
      unload: versions that give way.
    """

    load: list[int]
    unload: list[int]


def plan(
    found: Mapping[int, Found], before: Mapping[int, Found], broken: Mapping[int, int],
    loaded: Iterable[int], policy: Policy,
) -> Plan:  # fmt: skip
    """Compares what is there with what is served.

    Availability comes first: nothing is unloaded before everything wanted is loaded, and what was
    loaded last stays when no version is left.

    Args:
      found: by this look.
      before: by the look before; a folder that changed in between is still being written.
      broken: version -> print of the folder that failed to load; another print is a new try.
      loaded: versions that are served.
      policy: which are to be.
    """
    at_rest = {
        number: entry
        for number, entry in found.items()
        if number in before and before[number].print == entry.print
    }
    loaded = set(loaded)
    usable = {n for n, entry in at_rest.items() if entry.complete and broken.get(n) != entry.print}
    # A served version whose files are touched stays; it is in memory.
    usable |= loaded & set(found)
    wanted = policy.choose(usable)
    load = sorted(wanted - loaded, reverse=True)
    unload = sorted(loaded - wanted) if wanted and not load else []
    return Plan(load, unload)
