"""Identities planted in DICOM files, and the search for them in outputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

# DICOM keyword -> a value that occurs nowhere else, so that a leak shows where it came from.
IDENTITIES: Final[Mapping[str, str]] = {
    "PatientName": "Quillfeather^Ottoline^Zephyrine^Dr.^Jr.",
    "PatientID": "PID-77314-QX",
    "IssuerOfPatientID": "Gravelmoor-Registry",
    "PatientBirthDate": "19310711",
    "PatientBirthTime": "045913",
    "OtherPatientNames": "Vandersloot^Ottoline",
    "PatientMotherBirthName": "Brackwater^Ismenia",
    "PatientAddress": "9 Thistledown Lane",
    "PatientTelephoneNumbers": "0555-901-7733",
    "EthnicGroup": "Planted-Ethnic",
    "Occupation": "Lampwright",
    "PatientComments": "comment-of-Harrowgate",
    "AdditionalPatientHistory": "history-of-Wexcombe",
    "MedicalAlerts": "alert-of-Dunmarsh",
    "ReferringPhysicianName": "Mallowtree^Septimus",
    "PerformingPhysicianName": "Copperwaite^Lucasta",
    "NameOfPhysiciansReadingStudy": "Ravensholt^Barnaby",
    "RequestingPhysician": "Underbank^Philippa",
    "OperatorsName": "Featherstonehaugh^Rex",
    "InstitutionName": "Saint Wilgefortis Infirmary",
    "InstitutionAddress": "4 Cinderford Parade",
    "InstitutionalDepartmentName": "Ward-Pendleglade",
    "StationName": "STN-MARROWBY",
    "DeviceSerialNumber": "SERIAL-55Q-8841",
    "AccessionNumber": "ACC-60917-ZK",
    "StudyID": "STUDY-3391-VV",
    "StudyDescription": "study-of-Ashgrove",
    "SeriesDescription": "series-of-Fennimore",
    "ProtocolName": "protocol-of-Tollgate",
    "ImageComments": "image-of-Larkspur",
    "DerivationDescription": "derived-at-Oxenholme",
    "RequestedProcedureDescription": "procedure-of-Quarrington",
    "WindowCenterWidthExplanation": "window-of-Bellwether",
    "StudyDate": "20190223",
    "SeriesDate": "20190224",
    "AcquisitionDate": "20190225",
    "ContentDate": "20190226",
    "StudyTime": "031741.25",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.77120011",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.77120022",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.77120033",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.77120044",
}
_NESTED: Final = "nested-in-Yarborough"
_PRIVATE: Final = "private-of-Nettlecombe"
_PREAMBLE: Final = "preamble-of-Hollinshead"
_TITLE: Final = "AE-SKELWITH"


def _planted() -> tuple[str, ...]:
    words: list[str] = []
    for keyword, value in IDENTITIES.items():
        parts = value.split("^") if "Name" in keyword or "Physician" in keyword else [value]
        words += [part for part in parts if len(part) > 3]
    return tuple(dict.fromkeys([*words, _NESTED, _PRIVATE, _PREAMBLE, _TITLE]))


PLANTED: Final[tuple[str, ...]] = _planted()  # none of these may leave a file


def leaks(content: bytes | str) -> list[str]:
    """Returns the words of `PLANTED` that occur in an output, ignoring case."""
    text = content.encode("utf-8", "replace") if isinstance(content, str) else content
    text = text.lower()
    return [word for word in PLANTED if word.lower().encode() in text]


def leaks_below(folder: Path) -> dict[str, list[str]]:
    """Returns the words of `PLANTED` in the bytes or path of each file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        words = leaks(str(path.relative_to(folder)))
        if path.is_file():
            words += leaks(path.read_bytes())
        if words:
            found[str(path)] = words
    return found


def plant(dataset: "Dataset") -> None:
    """Writes identities into every usual element of a data set."""
    from pydicom import Dataset

    for keyword, value in IDENTITIES.items():
        setattr(dataset, keyword, value)
    inner = Dataset()
    inner.RequestedProcedureDescription = _NESTED
    inner.AccessionNumber = IDENTITIES["AccessionNumber"]
    dataset.RequestAttributesSequence = [inner]
    block = dataset.private_block(0x0011, "PNEUMO TESTS", create=True)
    block.add_new(0x01, "LO", _PRIVATE)
    dataset.preamble = _PREAMBLE.encode().ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = _TITLE
