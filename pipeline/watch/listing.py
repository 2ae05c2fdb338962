"""What lies in a folder, small enough to keep: a digest for each file and each patient."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from components.ingest.naming import parse_name
from components.ingest.scan import Entry, Fingerprint, scan
from schema.errors import PneumoError

# Of a folder that could not be read: what lies in it is not known, so nothing is concluded.
_UNREADABLE: Final = "unreadable"


@dataclass(frozen=True)
class Listing:
    """The image files of a folder at one look.

    Attributes:
      files: digests of (path, size, time of change), sorted uint64 [n].
      patients: digest of the patient whom the name of each tells, uint64 [n]; DICOM files tell
        theirs inside, so each counts for one here.
      fingerprint: of path, size and time of change of everything, junk too.
      unreadable: entries that could not be looked at.
    """

    files: np.ndarray
    patients: np.ndarray
    fingerprint: str
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.files)

    @property
    def key(self) -> str:
        """Digest of the image files alone."""
        return hashlib.sha256(self.files.tobytes()).hexdigest()

    def without(self, *others: "Listing") -> "Listing":
        """The files that are in none of the others."""
        keep = np.ones(len(self), bool)
        for other in others:
            keep &= ~np.isin(self.files, other.files)
        return self._kept(keep)

    def within(self, other: "Listing") -> "Listing":
        """The files that are in the other too."""
        return self._kept(np.isin(self.files, other.files))

    def has(self, entry: Entry) -> bool:
        """Whether a file is among them, with this size and time of change."""
        wanted = np.frombuffer(_of_file(entry), np.uint64)[0]
        at = int(np.searchsorted(self.files, wanted))
        return at < len(self) and bool(self.files[at] == wanted)

    def _kept(self, keep: np.ndarray) -> "Listing":
        return Listing(self.files[keep], self.patients[keep], "", self.unreadable)


def more_people(known: Listing, *new: Listing) -> int:
    """Patients of the new ones who are not among the known."""
    people = np.concatenate([listing.patients for listing in new])
    return len(np.setdiff1d(people, known.patients))


def nothing() -> Listing:
    """A listing without files."""
    return Listing(np.empty(0, np.uint64), np.empty(0, np.uint64), "")


def look(folder: Path) -> Listing:
    """Lists a folder: names, sizes, times; no file is opened but those without a suffix.

    Raises:
      PneumoError: there is no such folder.
    """
    if not folder.is_dir():
        raise PneumoError(f"{folder} is no folder, or its file system is not there")
    return listing_of(scan(folder.resolve()))


def listing_of(entries: Iterable[Entry]) -> Listing:
    """A listing from entries of components.ingest.scan, in any order."""
    files, patients, unreadable = bytearray(), bytearray(), 0
    whole = Fingerprint()
    for entry in entries:
        whole.add(entry)
        if entry.kind == "file":
            files += _of_file(entry)
            patients += _digest("patient\0", parse_name(entry.path).patient)
        elif entry.kind == "reject" and entry.what == _UNREADABLE:
            unreadable += 1
    found = np.frombuffer(bytes(files), np.uint64)
    order = np.argsort(found, kind="stable")
    people = np.frombuffer(bytes(patients), np.uint64)
    return Listing(found[order], people[order], whole.hexdigest(), unreadable)


def _of_file(entry: Entry) -> bytes:
    return _digest(f"{entry.size}\0{entry.mtime_ns}\0", entry.path)


def _digest(before: str, path: str) -> bytes:
    return hashlib.blake2b(before.encode() + os.fsencode(path), digest_size=8).digest()


def write(listing: Listing, path: Path) -> None:
    """Writes a listing whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, files=listing.files, patients=listing.patients)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read(path: Path) -> Listing:
    """Reads what `write` wrote; a file that is gone or damaged is an empty listing."""
    import zipfile

    try:
        with np.load(path) as found:
            return Listing(found["files"], found["patients"], "")
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return nothing()
