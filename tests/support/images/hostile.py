"""Writes data sets with broken, odd and hostile files among good ones."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

from core.ingest.file_names import printable
from tests.support.images.hostile_files import KINDS, jpeg_file


@dataclass(frozen=True)
class HostileFile:
    """A file, link, pipe or folder of a hostile data set.

    Attributes:
      path: relative to the root of the data set.
      kind: key of `KINDS`, or one of `LINKS`.
      expected: "written", "skipped", or the allowed reject reasons; "nothing" for a folder, which
        ingest does not count.
    """

    path: str
    kind: str
    expected: str | tuple[str, ...]


LINKS = ("broken link", "link to itself", "pipe", "unknown class", "macosx", "ds_store", "folder")


def make_hostile(dest: Path, n: int, seed: int) -> list[HostileFile]:
    """Writes n files below dest/{train,val,test}/{NORMAL,PNEUMONIA}, one kind after the other.

    Args:
      dest: root of the data set; existing files are kept.
      n: number of files; every kind occurs if it is at least len(KINDS) + len(LINKS).
      seed: equal seeds give equal data sets.
    """
    rng = random.Random(seed)
    kinds = [*KINDS, *LINKS]
    files = []
    for number in range(n):
        kind = kinds[number % len(kinds)]
        folder = f"{rng.choice(('train', 'val', 'test'))}/{rng.choice(('NORMAL', 'PNEUMONIA'))}"
        key = 900_000 + seed * 10_000 + number
        if kind in KINDS:
            name, make, expected = KINDS[kind]
            # Not str.format: names contain other braces and percent signs.
            path = f"{folder}/{name.replace('{}', str(key))}"
            _write(dest / path, make(key))
            files.append(HostileFile(path, kind, expected))
        else:
            files.append(_special(dest, folder, kind, key))
    return files


def _special(dest: Path, folder: str, kind: str, key: int) -> HostileFile:
    path, expected = {
        "unknown class": (f"train/SOMETHING/{key}.jpeg", ("unknown_class",)),
        "macosx": (f"__MACOSX/train/NORMAL/{key}.jpeg", "skipped"),
        "ds_store": (f"{folder}/{key}/.DS_Store", "skipped"),
        "broken link": (f"{folder}/broken-{key}.jpeg", ("broken_link",)),
        "link to itself": (f"{folder}/link-{key}.jpeg", ("broken_link",)),
        "pipe": (f"{folder}/pipe-{key}.jpeg", ("not_a_file",)),
        "folder": (f"{folder}/folder-{key}.jpeg", "nothing"),
    }[kind]
    file = dest / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == "broken link":
        file.symlink_to("nowhere.jpeg")
    elif kind == "link to itself":
        file.symlink_to(file.name)
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.write_bytes(jpeg_file(key) if path.endswith(".jpeg") else b"\0\0\0\1Bud1")
    return HostileFile(path, kind, expected)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def unexpected_results(
    files: list[HostileFile], written: set[str], rejects: dict[str, str]
) -> list[tuple[HostileFile, str]]:
    """Returns the files with another result than expected, and that result.

    Args:
      files: of `make_hostile`.
      written: file names in the manifest.
      rejects: file name -> reject reason.
    """
    wrong = []
    for file in files:
        name = printable(file.path)
        result = "written" if name in written else rejects.get(name, "skipped")
        if file.expected not in ("nothing", result) and result not in file.expected:
            wrong.append((file, result))
    return wrong
