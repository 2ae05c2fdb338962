"""Allow-listed tags of a DICOM file, and a hashed key of the patient.

Texts are kept only if they are one of a closed list of terms, numbers only within bounds, so that a
name in the wrong field is not copied.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from core.images.dicom.values import known_term, numbers, value
from core.patients.naming_rules import patient_of_path
from core.patients.placeholders import is_placeholder

VIEWS: Final = frozenset(
    {"AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "LAT", "OBLIQUE"}
)
# Parts of the terms for the chest in BodyPartExamined.
_CHEST: Final = ("CHEST", "THORA", "TORAX", "TORACE", "LUNG", "RIB", "CXR")
SEXES: Final = frozenset({"M", "F", "O"})
PHOTOMETRIC: Final = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422"}
    | {"YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "HSV", "ARGB", "CMYK"}
)
MODALITIES: Final = frozenset(
    {"AR", "AU", "BI", "BMD", "CR", "CT", "DG", "DOC", "DR", "DX", "ECG", "EPS", "ES", "FID", "GM"}
    | {"HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "MG", "MR", "NM", "OAM"}
    | {"OCT", "OP", "OPM", "OPT", "OPV", "OSS", "OT", "PLAN", "PR", "PT", "PX", "REG", "RESP", "RF"}
    | {"RG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT", "SC", "SEG", "SM", "SMR", "SR"}
    | {"SRF", "TG", "US", "VA", "XA", "XC"}
)
MAX_AGE: Final = 90  # years; greater ages are stored as this one
_AGE: Final = re.compile(r"(\d{1,3})([DWMY])")
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
# Parts of the patient's name in anonymized files.
_NO_NAME: Final = frozenset(
    {"", "0", "none", "null", "na", "n/a", "unknown", "anon", "anonymous", "anonymized"}
    | {"anonymised", "deidentified", "de-identified", "removed", "patient", "patientid", "xxx"}
)
_PARTS: Final = re.compile(r"[^\w]+|_+")


@dataclass(frozen=True)
class DicomTags:
    """Allow-listed tags.

    Attributes:
      modality: CR, DX, ...; "" if it is not a known term.
      view: ViewPosition, likewise.
      photometric: PhotometricInterpretation, likewise.
      rows: as stored.
      columns: as stored.
      bits_stored: per pixel.
      spacing: millimeters between rows and between columns, from PixelSpacing or, if missing, from
        ImagerPixelSpacing; None if both are missing.
      age: whole years, at most 90; None if unknown.
      sex: M, F, O or "".
    """

    modality: str
    view: str
    photometric: str
    rows: int
    columns: int
    bits_stored: int
    spacing: tuple[float, float] | None
    age: int | None
    sex: str

    def to_dict(self) -> dict[str, Any]:
        """Returns the known values."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None)}


def allowed_tags(dataset: Any, rows: int, columns: int, bits_stored: int) -> DicomTags:
    """Reads the allow-listed tags; unreadable values count as unknown."""
    return DicomTags(
        modality=known_term(dataset, "Modality", MODALITIES),
        view=known_term(dataset, "ViewPosition", VIEWS),
        photometric=known_term(dataset, "PhotometricInterpretation", PHOTOMETRIC),
        rows=rows,
        columns=columns,
        bits_stored=bits_stored,
        spacing=spacing(dataset, ("PixelSpacing", "ImagerPixelSpacing")),
        age=years(_text(dataset, "PatientAge")),
        sex=known_term(dataset, "PatientSex", SEXES),
    )


def spacing(dataset: Any, keywords: tuple[str, ...]) -> tuple[float, float] | None:
    """Returns the first valid pair of lengths (rows, columns) under one of the keywords."""
    for keyword in keywords:
        try:
            pair = numbers(dataset, keyword)
        except Exception:
            continue
        if len(pair) == 2 and all(1e-4 < one < 1e4 for one in pair):
            return pair[0], pair[1]
    return None


def years(text: str) -> int | None:
    """Converts an age such as 087Y or 018M to whole years, at most 90; None if it is invalid."""
    match = _AGE.fullmatch(text.strip().upper())
    if not match:
        return None
    whole = int(match[1]) if match[2] == "Y" else int(int(match[1]) * _DAYS[match[2]] / 365.25)
    return min(whole, MAX_AGE)


def patient_key(dataset: Any, salt: str, path: str = "") -> str:
    """Returns a key of the patient: SHA-256 of salt and PatientID, 32 hex digits.

    Without an ID, or with a placeholder such as "ANONYMOUS", StudyInstanceUID replaces it, because
    all images of a study are of one patient. "" if both are missing. So does it where PatientID is
    the image id in the name of the file, as in the RSNA challenge.
    """
    patient = _text(dataset, "PatientID")
    kind = "patient"
    if is_placeholder(patient) or _is_image_id(patient, path):
        patient, kind = _text(dataset, "StudyInstanceUID"), "study"
        if is_placeholder(patient):
            return ""
    digest = hashlib.sha256(f"{salt}\0{kind}\0{patient}".encode("utf-8", "surrogateescape"))
    return f"{kind}-{digest.hexdigest()[:32]}"


def _is_image_id(patient: str, path: str) -> bool:
    named = patient_of_path(path)
    if named is None or named.rule.identity != "image":
        return False
    return PurePosixPath(path).stem.casefold() == patient.casefold()


def is_patient_key(key: str) -> bool:
    """Returns whether `patient_key` made a key of a PatientID, not of a study."""
    return key.startswith("patient-")


def path_identifies_patient(path: str, dataset: Any) -> bool:
    """Returns whether a path contains name, ID, birth date or accession number of the patient."""
    folded = path.casefold()
    for keyword in ("PatientID", "PatientBirthDate", "AccessionNumber"):
        text = _text(dataset, keyword).casefold()
        if len(text) >= 4 and not is_placeholder(text) and text in folded:
            return True
    pieces = set(_PARTS.split(folded))
    names = set(_PARTS.split(_text(dataset, "PatientName").casefold())) - _NO_NAME
    return any(len(name) >= 3 and name in pieces for name in names)


def may_be_chest(dataset: Any) -> bool:
    """Returns whether BodyPartExamined names the chest, or nothing."""
    part = _text(dataset, "BodyPartExamined").upper()
    return not part or any(term in part for term in _CHEST)


def _text(dataset: Any, keyword: str) -> str:
    try:
        content = value(dataset, keyword)
        return "" if content is None else str(content).strip()
    except Exception:
        return ""
