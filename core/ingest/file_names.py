"""What the file names of the public data sets encode: pathogen, patient, batch.

If two names may belong to one child, they share a patient key: a key that is too coarse cannot
leak a patient into two splits.

- `person12_bacteria_30.jpeg`, `person12_virus_3.jpeg` -> `person-12`, whichever pathogen: it is not
  documented whether the two series number the same children.
- `IM-0437-0001-0002.jpeg`, `NORMAL2-IM-0437-0001.jpeg` -> `im-437`: it is not documented whether
  the second batch continues the numbers of the first or starts again.
- The prefix `synthetic-` (phantoms) is kept: `synthetic-person-12`.
- The key of any other name is the name without its suffix.

A column `patient` of a manifest replaces the key.
"""

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from schema import labels

_PERSON = re.compile(r"person(\d+)_(bacteria|virus)_\d+", re.IGNORECASE)
_IM = re.compile(r"(NORMAL2-)?IM-(\d+)-\d+", re.IGNORECASE)
_WORD = re.compile(r"(?<![a-z])(bacteria|bacterial|virus|viral)(?![a-z])", re.IGNORECASE)
_PATHOGEN = {
    "bacteria": labels.BACTERIA,
    "bacterial": labels.BACTERIA,
    "virus": labels.VIRUS,
    "viral": labels.VIRUS,
}
_SYNTHETIC = "synthetic-"


@dataclass(frozen=True)
class ParsedName:
    """Parts of a file name.

    Attributes:
      patient: key that splits keep together.
      source: batch: person, IM, NORMAL2-IM, synthetic or other.
      pathogen: bacteria or virus if the name contains exactly one of them, otherwise None.
    """

    patient: str
    source: str
    pathogen: str | None


def parse_name(path: str) -> ParsedName:
    """Parses the last part of a path ("/" between the parts)."""
    stem = PurePosixPath(path).stem
    synthetic = stem.lower().startswith(_SYNTHETIC)
    bare = stem[len(_SYNTHETIC) :] if synthetic else stem
    prefix = _SYNTHETIC if synthetic else ""
    pathogens = {_PATHOGEN[word.lower()] for word in _WORD.findall(bare)}
    pathogen = pathogens.pop() if len(pathogens) == 1 else None
    if match := _PERSON.match(bare):
        key, source = f"person-{int(match[1])}", "person"
    elif match := _IM.match(bare):
        key, source = f"im-{int(match[2])}", "NORMAL2-IM" if match[1] else "IM"
    else:
        key, source = bare, "other"
    return ParsedName(f"{prefix}{key}", "synthetic" if synthetic else source, pathogen)


def pathogen_of(folder: str, path: str) -> str:
    """Returns the pathogen of the folder; `unknown` is refined by the file name."""
    if folder != labels.UNKNOWN:
        return folder
    return parse_name(path).pathogen or labels.UNKNOWN


def printable(path: str) -> str:
    r"""Returns a path that every JSON reader accepts: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
