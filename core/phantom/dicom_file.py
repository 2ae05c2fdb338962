"""Writes a synthetic radiograph as a DICOM file with the attributes of the RSNA challenge.

Those files are secondary captures of modality CR: 8 bits, MONOCHROME2, JPEG baseline, with the
patient id as the patient name and dates of 1901.
"""

import hashlib
import io
from typing import Final

import numpy as np

from core.phantom.anatomy import sample_anatomy, sample_exposure
from core.phantom.cohort import SyntheticPatient, synthetic_id
from schema.errors import PneumoError

SYNTHETIC: Final = "SYNTHETIC: drawn by a program, not a patient"
_UNIT_MM: Final = 100.0  # an anatomical unit in a small child


def needs_pydicom() -> None:
    """Checks for pydicom.

    Raises:
      PneumoError: it is not installed.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise PneumoError(
            "writing DICOM files needs pydicom: install it with `pip install 'pneumo-tfx[dicom]'`"
        ) from error


def to_dicom(
    content: bytes, rows: int, columns: int, seed: int, patient: SyntheticPatient, k: int
) -> bytes:
    """Returns a DICOM file with a gray JPEG; deterministic.

    Marked as synthetic by Quality Control Subject (0010,0200), by the manufacturer and by Image
    Comments.

    Args:
      content: the JPEG, 8 bits.
      rows: its height in pixels.
      columns: its width.
      seed: seed of the data set.
      patient: patient of the image.
      k: index of the image among those of the patient.
    """
    import pydicom
    from pydicom import uid
    from pydicom.encaps import encapsulate

    name = synthetic_id(seed, patient)
    age = sample_anatomy(np.random.default_rng([seed, 1, patient.index])).age
    field = sample_exposure(np.random.default_rng([seed, 2, patient.first + k])).field
    spacing = f"{field * _UNIT_MM / columns:.6g}"

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = _uid(name, "image", str(k))
    dataset.StudyDate, dataset.StudyTime = "19010101", "000000.00"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.ConversionType = "CR", "WSD"
    dataset.Manufacturer, dataset.ManufacturerModelName = "PneumoTFX", "pneumo phantom"
    dataset.SeriesDescription = "view: AP"
    dataset.PatientName = dataset.PatientID = name
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.PatientAge = f"{int(age):03d}Y" if age >= 2 else f"{int(12 * age):03d}M"
    dataset.QualityControlSubject = "YES"
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "AP"
    dataset.StudyInstanceUID = _uid(name, "study")
    dataset.SeriesInstanceUID = _uid(name, "series")
    dataset.StudyID = dataset.PatientOrientation = ""
    dataset.SeriesNumber, dataset.InstanceNumber = 1, k + 1
    dataset.ImageComments = SYNTHETIC
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelSpacing = [spacing, spacing]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
    dataset.LossyImageCompressionRatio = f"{rows * columns / len(content):.4g}"
    dataset.PixelData = encapsulate([content])
    dataset["PixelData"].VR = "OB"
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def _uid(*parts: str) -> str:
    """A UID below 2.25 (DICOM PS3.5 B.2) that depends only on the parts."""
    digest = hashlib.sha256("/".join(("pneumo phantom", *parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
