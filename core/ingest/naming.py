"""What a file name of the well-known data sets tells: pathogen, patient, batch.

The patient key is conservative: where two names may or may not mean one child, they share a key. A
merged key can only make a split more honest, never less.

- `person12_bacteria_30.jpeg`, `person12_virus_3.jpeg` -> `person-12`, whichever pathogen: the
  source does not say whether the two series number the same children.
- `IM-0437-0001-0002.jpeg`, `NORMAL2-IM-0437-0001.jpeg` -> `im-437`: it is not known whether the
  second batch went on counting or started again.
- With the prefix `synthetic-` (phantoms) the key has it too: `synthetic-person-12`.
- Any other name is a patient of its own, keyed by the name without its suffix.

A column `patient` of a manifest overrides all of this.
"""

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
class NameFacts:
    """What a file name says.

    Attributes:
      patient: key that splits keep together.
      source: batch: person, IM, NORMAL2-IM, synthetic or other.
      pathogen: bacteria or virus where the name says one of them, otherwise None.
    """

    patient: str
    source: str
    pathogen: str | None


def parse_name(path: str) -> NameFacts:
    """Reads the last part of a path ("/" between the parts)."""
    stem = PurePosixPath(path).stem
    synthetic = stem.lower().startswith(_SYNTHETIC)
    bare = stem[len(_SYNTHETIC) :] if synthetic else stem
    prefix = _SYNTHETIC if synthetic else ""
    words = {_PATHOGEN[word.lower()] for word in _WORD.findall(bare)}
    pathogen = words.pop() if len(words) == 1 else None
    if match := _PERSON.match(bare):
        key, source = f"person-{int(match[1])}", "person"
    elif match := _IM.match(bare):
        key, source = f"im-{int(match[2])}", "NORMAL2-IM" if match[1] else "IM"
    else:
        key, source = bare, "other"
    return NameFacts(f"{prefix}{key}", "synthetic" if synthetic else source, pathogen)


def pathogen_of(folder: str, path: str) -> str:
    """Pathogen of a file: what its folder stands for, refined by the name where that is unknown."""
    if folder != labels.UNKNOWN:
        return folder
    return parse_name(path).pathogen or labels.UNKNOWN
