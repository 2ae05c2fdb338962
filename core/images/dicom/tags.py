"""What may leave a DICOM file besides its pixels: the allow-list, and a key of the patient.

Texts leave only where they are one of a closed list of terms, numbers only within their bounds:
a name that was typed into the wrong field stays inside.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from core.images.dicom.values import numbers, value, word

VIEWS: Final = frozenset(
    {"AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "LAT", "OBLIQUE"}
)
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
OLDEST: Final = 90  # years; a greater age is told as this one
_AGE: Final = re.compile(r"(\d{1,3})([DWMY])")
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
# What stands for an id where somebody made the files anonymous.
_NO_ID: Final = frozenset(
    {"", "0", "none", "null", "na", "n/a", "unknown", "anon", "anonymous", "anonymized"}
    | {"anonymised", "deidentified", "de-identified", "removed", "patient", "patientid", "xxx"}
)
_PARTS: Final = re.compile(r"[^\w]+|_+")


@dataclass(frozen=True)
class Tags:
    """The allow-list.

    Attributes:
      modality: CR, DX, ...; "" where it is no known term.
      view: of ViewPosition, likewise.
      photometric: interpretation of the pixels, likewise.
      rows: as stored.
      columns: as stored.
      bits_stored: of a pixel.
      spacing: millimetres from row to row and from column to column, of PixelSpacing, otherwise of
        ImagerPixelSpacing; None where neither tells.
      age: whole years, 90 for everyone who is older; None where the file does not tell.
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
        """Plain values, without what is not known."""
        return {k: v for k, v in asdict(self).items() if v not in ("", None)}


def allowed(dataset: Any, rows: int, columns: int, bits_stored: int) -> Tags:
    """The allow-list of a data set; what can't be read is not known."""
    return Tags(
        modality=word(dataset, "Modality", MODALITIES),
        view=word(dataset, "ViewPosition", VIEWS),
        photometric=word(dataset, "PhotometricInterpretation", PHOTOMETRIC),
        rows=rows,
        columns=columns,
        bits_stored=bits_stored,
        spacing=spacing(dataset, ("PixelSpacing", "ImagerPixelSpacing")),
        age=years(_text(dataset, "PatientAge")),
        sex=word(dataset, "PatientSex", SEXES),
    )


def spacing(dataset: Any, keywords: tuple[str, ...]) -> tuple[float, float] | None:
    """The first usable pair of lengths (rows, columns) under one of the keywords."""
    for keyword in keywords:
        try:
            pair = numbers(dataset, keyword)
        except Exception:
            continue
        if len(pair) == 2 and all(1e-4 < one < 1e4 for one in pair):
            return pair[0], pair[1]
    return None


def years(text: str) -> int | None:
    """Whole years of an age such as 087Y or 018M, at most 90; None for anything else."""
    match = _AGE.fullmatch(text.strip().upper())
    if not match:
        return None
    whole = int(match[1]) if match[2] == "Y" else int(int(match[1]) * _DAYS[match[2]] / 365.25)
    return min(whole, OLDEST)


def patient_key(dataset: Any, salt: str) -> str:
    """The key of a patient: SHA-256 of salt and PatientID, 32 digits; never the id itself.

    Where there is no id, or one that stands for none ("ANONYMOUS"), the study takes its place: all
    images of a study are of one patient. "" where neither is there.
    """
    patient = _text(dataset, "PatientID")
    kind = "patient"
    if patient.casefold() in _NO_ID:
        patient, kind = _text(dataset, "StudyInstanceUID"), "study"
    if not patient:
        return ""
    digest = hashlib.sha256(f"{salt}\0{kind}\0{patient}".encode("utf-8", "surrogateescape"))
    return f"{kind}-{digest.hexdigest()[:32]}"


def named_by(path: str, dataset: Any) -> bool:
    """Whether a path holds the patient's name, id or date of birth, or the accession number."""
    folded = path.casefold()
    for keyword in ("PatientID", "PatientBirthDate", "AccessionNumber"):
        text = _text(dataset, keyword).casefold()
        if len(text) >= 4 and text not in _NO_ID and text in folded:
            return True
    pieces = set(_PARTS.split(folded))
    names = set(_PARTS.split(_text(dataset, "PatientName").casefold())) - _NO_ID
    return any(len(name) >= 3 and name in pieces for name in names)


def _text(dataset: Any, keyword: str) -> str:
    try:
        found = value(dataset, keyword)
        return "" if found is None else str(found).strip()
    except Exception:
        return ""
