"""What the path of an image encodes: pathogen, patient, batch.

The rules for patients are in `core/patients/naming_rules.py`. The prefix `synthetic-` of phantoms
is kept: `synthetic-person-12`. An image without a known patient is a patient of its own, whose key
is its path, so that equal names in two folders never become one patient.

A column `patient` of a manifest, or the PatientID of a DICOM file, replaces the key.
"""

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.patients.naming_rules import patient_of_path
from schema import labels

_PERSON = re.compile(r"person\d+_(?:bacteria|virus)_\d+", re.IGNORECASE)
_IM = re.compile(r"(NORMAL2-)?IM-\d+-\d+", re.IGNORECASE)
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
    """Parts of a path.

    Attributes:
      patient: key that splits keep together.
      known: whether the key is that of a patient.
      source: batch: person, IM, NORMAL2-IM, synthetic or other.
      pathogen: bacteria or virus if the name contains exactly one of them, otherwise None.
      viewer_name: the name without its suffix, if programs that export images use such names too;
        otherwise "".
    """

    patient: str
    known: bool
    source: str
    pathogen: str | None
    viewer_name: str = ""


def parse_name(path: str) -> ParsedName:
    """Parses a path ("/" between the parts); only the patient depends on the folders."""
    folder, slash, name = path.rpartition("/")
    synthetic = name.lower().startswith(_SYNTHETIC)
    bare = name[len(_SYNTHETIC) :] if synthetic else name
    stem = PurePosixPath(bare).stem
    pathogens = {_PATHOGEN[word.lower()] for word in _WORD.findall(stem)}
    pathogen = pathogens.pop() if len(pathogens) == 1 else None
    source = "other"
    if synthetic:
        source = "synthetic"
    elif _PERSON.match(stem):
        source = "person"
    elif match := _IM.match(stem):
        source = "NORMAL2-IM" if match[1] else "IM"
    named = patient_of_path(f"{folder}{slash}{bare}")
    if named is None:
        return ParsedName(image_key(path), False, source, pathogen)
    key = f"{_SYNTHETIC if synthetic else ''}{named.key}"
    viewer_name = stem.casefold() if named.rule.viewer else ""
    return ParsedName(key, named.known, source, pathogen, viewer_name)


def image_key(filename: str) -> str:
    """Returns the key of an image without a known patient."""
    return f"image:{filename}"


def pathogen_of(folder: str, path: str) -> str:
    """Returns the pathogen of the folder; `unknown` is refined by the file name."""
    if folder != labels.UNKNOWN:
        return folder
    return parse_name(path).pathogen or labels.UNKNOWN


def printable(path: str) -> str:
    r"""Returns a path that every JSON reader accepts: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
