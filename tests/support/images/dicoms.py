"""DICOM files of any kind for tests, with identities planted wherever a file may hold one.

dataset = make_dataset(pixels, bits_stored=12, photometric="MONOCHROME1", PixelSpacing=[0.2, 0.1])
content = to_bytes(dataset, JPEG2000Lossless)
assert not leaks(whatever_came_out_of_it)
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.support.images.dicom_encoders import (
    GDCM_SYNTAXES,
    compress_by_gdcm,
    compress_by_jpeg,
    write_dataset,
)
from tests.support.images.identities import plant

if TYPE_CHECKING:
    from pydicom import Dataset


class Syntax(NamedTuple):
    """A transfer syntax that can be written here.

    Attributes:
      name: short, for the id of a case.
      uid: of the syntax.
      lossless: whether the pixels come back equal.
      bits: the most bits of a pixel that it holds here.
      needs: module without which nothing here writes it; "" for pydicom alone.
      signed: whether it holds negative values as written here.
    """

    name: str
    uid: str
    lossless: bool
    bits: int
    needs: str = ""
    signed: bool = True


SYNTAXES: Final = [
    Syntax("implicit", "1.2.840.10008.1.2", True, 16),
    Syntax("explicit", "1.2.840.10008.1.2.1", True, 16),
    Syntax("big_endian", "1.2.840.10008.1.2.2", True, 16),
    Syntax("deflated", "1.2.840.10008.1.2.1.99", True, 16),
    Syntax("rle", "1.2.840.10008.1.2.5", True, 16),
    Syntax("jpeg_baseline", "1.2.840.10008.1.2.4.50", False, 8, signed=False),
    Syntax("jpeg_extended", "1.2.840.10008.1.2.4.51", False, 12, signed=False),
    Syntax("jpeg_lossless", "1.2.840.10008.1.2.4.57", True, 16, "gdcm"),
    Syntax("jpeg_lossless_sv1", "1.2.840.10008.1.2.4.70", True, 16, "gdcm"),
    Syntax("jpegls_lossless", "1.2.840.10008.1.2.4.80", True, 16, "jpeg_ls"),
    # What near-lossless coding adds to the least negative value wraps.
    Syntax("jpegls_near", "1.2.840.10008.1.2.4.81", False, 16, "jpeg_ls", signed=False),
    Syntax("jpeg2000_lossless", "1.2.840.10008.1.2.4.90", True, 16, "openjpeg"),
    Syntax("jpeg2000", "1.2.840.10008.1.2.4.91", False, 16, "openjpeg"),
]


def make_dataset(
    pixels: "NDArray[Any] | None",
    *,
    bits_stored: int | None = None,
    photometric: str = "MONOCHROME2",
    modality: str = "CR",
    planted: bool = True,
    **attributes: Any,
) -> "Dataset":
    """A data set of one image, uncompressed, to be changed or written by `to_bytes`.

    Args:
      pixels: stored values, uint8, uint16 or int16: [rows, columns], [frames, rows, columns], or
        [rows, columns, 3] of RGB; None for a data set without pixels (and without Rows).
      bits_stored: default all bits of the dtype.
      photometric: PhotometricInterpretation.
      modality: also decides the SOP class: CR, DX, OT (secondary capture), CT, MR, US, SR ...
      planted: put identities (`IDENTITIES`) into every usual place; else only what DICOM asks for.
      attributes: further ones by keyword, last; None removes one.
    """
    from pydicom import Dataset, uid
    from pydicom.dataset import FileMetaDataset

    classes = {
        "CR": uid.ComputedRadiographyImageStorage,
        "DX": uid.DigitalXRayImageStorageForPresentation,
        "CT": uid.CTImageStorage,
        "MR": uid.MRImageStorage,
        "US": uid.UltrasoundImageStorage,
        "MG": uid.DigitalMammographyXRayImageStorageForPresentation,
        "SR": uid.ComprehensiveSRStorage,
    }
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = classes.get(modality, uid.SecondaryCaptureImageStorage)
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime"):
        setattr(dataset, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "ReferringPhysicianName"):
        setattr(dataset, keyword, "")
    dataset.PatientSex, dataset.PatientAge = "F", "087Y"
    dataset.Modality = modality
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    if planted:
        plant(dataset)
    if pixels is not None:
        _set_pixels(dataset, pixels, bits_stored, photometric)
    for keyword, value in attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def to_bytes(dataset: "Dataset", syntax: str = "1.2.840.10008.1.2.1", **options: Any) -> bytes:
    """A DICOM file of a data set of `make_dataset`, which is left as it is.

    Args:
      dataset: uncompressed.
      syntax: UID of the transfer syntax.
      options: of pydicom's encoder, e.g. `jls_error=2`, `j2k_cr=[10]`.

    Raises:
      ValueError: nothing here writes that syntax.
    """
    import copy

    import pydicom
    from pydicom import uid

    syntax = uid.UID(syntax)
    dataset = copy.deepcopy(dataset)
    meta = dataset.file_meta
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", uid.SecondaryCaptureImageStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    if syntax == uid.ExplicitVRBigEndian:
        meta.TransferSyntaxUID = syntax
        if "PixelData" in dataset and dataset.BitsAllocated == 16:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    elif syntax in (uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian):
        meta.TransferSyntaxUID = syntax
    elif syntax in GDCM_SYNTAXES:
        return compress_by_gdcm(write_dataset(dataset), syntax)
    elif syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit):
        compress_by_jpeg(dataset, extended=syntax == uid.JPEGExtended12Bit)
        meta.TransferSyntaxUID = syntax
    elif syntax != uid.ExplicitVRLittleEndian:
        given = dict(options)
        if syntax == uid.JPEG2000:
            given.setdefault("j2k_cr", [4])
        if syntax == uid.JPEGLSNearLossless:
            given.setdefault("jls_error", 2)
        if syntax == uid.RLELossless:  # gdcm, the default, ends the process at some image sizes
            given.setdefault("encoding_plugin", "pydicom")
        with pydicom.config.disable_value_validation():
            dataset.compress(syntax, generate_instance_uid=False, **given)
        if syntax in (uid.JPEG2000, uid.JPEGLSNearLossless):
            dataset.LossyImageCompression = "01"
    return write_dataset(dataset)


def _set_pixels(
    dataset: "Dataset", pixels: "NDArray[Any]", bits_stored: int | None, photometric: str
) -> None:
    if pixels.dtype not in (np.uint8, np.uint16, np.int16):
        raise TypeError(f"pixels are {pixels.dtype}, not uint8, uint16 or int16")
    color = pixels.ndim == 3 and pixels.shape[-1] == 3
    frames, rows, columns = (1, *pixels.shape[:2]) if color or pixels.ndim == 2 else pixels.shape
    allocated = 8 * pixels.dtype.itemsize
    stored = bits_stored or allocated
    dataset.SamplesPerPixel = 3 if color else 1
    dataset.PhotometricInterpretation = "RGB" if color else photometric
    if color:
        dataset.PlanarConfiguration = 0
    if pixels.ndim == 3 and not color:
        dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, stored, stored - 1
    dataset.PixelRepresentation = int(pixels.dtype == np.int16)
    little = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = little + b"\0" * (len(little) % 2)
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"


STORED = np.array([[0, 100, 200], [300, 400, 4095]], np.uint16)


def dicom(stored: np.ndarray = STORED, bits: int = 12, **attributes: Any) -> bytes:
    """A DICOM file; attributes by keyword, None removes one."""
    return to_bytes(make_dataset(stored, bits_stored=bits, modality="DX", **attributes))
