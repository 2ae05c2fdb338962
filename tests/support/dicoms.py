"""DICOM files of any kind for tests, with identities planted wherever a file may hold one.

dataset = make(pixels, bits_stored=12, photometric="MONOCHROME1", PixelSpacing=[0.2, 0.1])
content = to_bytes(dataset, JPEG2000Lossless)
assert not leaks(whatever_came_out_of_it)
"""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from pydicom import Dataset

# Keyword -> value, one of its own for each place, so that a leak tells where it came from.
PLACES: Final[Mapping[str, str]] = {
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


def _words() -> tuple[str, ...]:
    words: list[str] = []
    for keyword, value in PLACES.items():
        parts = value.split("^") if "Name" in keyword or "Physician" in keyword else [value]
        words += [part for part in parts if len(part) > 3]
    return tuple(dict.fromkeys([*words, _NESTED, _PRIVATE, _PREAMBLE, _TITLE]))


PLANTED: Final[tuple[str, ...]] = _words()  # none of these may leave a file


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


def make(
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
      planted: put identities (`PLACES`) into every usual place; else only what DICOM asks for.
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
        _plant(dataset)
    if pixels is not None:
        _put(dataset, pixels, bits_stored, photometric)
    for keyword, value in attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def to_bytes(dataset: "Dataset", syntax: str = "1.2.840.10008.1.2.1", **options: Any) -> bytes:
    """A DICOM file of a data set of `make`, which is left as it is.

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
    elif syntax in _BY_GDCM:
        return _by_gdcm(_written(dataset), syntax)
    elif syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit):
        _by_jpeg(dataset, extended=syntax == uid.JPEGExtended12Bit)
        meta.TransferSyntaxUID = syntax
    elif syntax != uid.ExplicitVRLittleEndian:
        given = dict(options)
        if syntax == uid.JPEG2000:
            given.setdefault("j2k_cr", [4])
        if syntax == uid.JPEGLSNearLossless:
            given.setdefault("jls_error", 2)
        with pydicom.config.disable_value_validation():
            dataset.compress(syntax, generate_instance_uid=False, **given)
        if syntax in (uid.JPEG2000, uid.JPEGLSNearLossless):
            dataset.LossyImageCompression = "01"
    return _written(dataset)


def leaks(content: bytes | str) -> list[str]:
    """Which of `PLANTED` stand in what came out, in either case."""
    text = content.encode("utf-8", "replace") if isinstance(content, str) else content
    text = text.lower()
    return [word for word in PLANTED if word.lower().encode() in text]


def leaks_below(folder: Path) -> dict[str, list[str]]:
    """File below a folder -> which of `PLANTED` stand in its bytes or in its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        words = leaks(str(path.relative_to(folder)))
        if path.is_file():
            words += leaks(path.read_bytes())
        if words:
            found[str(path)] = words
    return found


def _plant(dataset: "Dataset") -> None:
    from pydicom import Dataset

    for keyword, value in PLACES.items():
        setattr(dataset, keyword, value)
    inner = Dataset()
    inner.RequestedProcedureDescription = _NESTED
    inner.AccessionNumber = PLACES["AccessionNumber"]
    dataset.RequestAttributesSequence = [inner]
    block = dataset.private_block(0x0011, "PNEUMO TESTS", create=True)
    block.add_new(0x01, "LO", _PRIVATE)
    dataset.preamble = _PREAMBLE.encode().ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = _TITLE


def _put(
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


def _written(dataset: "Dataset") -> bytes:
    import pydicom

    out = io.BytesIO()
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


_BY_GDCM: Final = {
    "1.2.840.10008.1.2.4.57": "JPEGLosslessProcess14",
    "1.2.840.10008.1.2.4.70": "JPEGLosslessProcess14_1",
}


def _by_gdcm(content: bytes, syntax: str) -> bytes:
    import gdcm
    import pydicom

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.dcm", Path(folder) / "out.dcm"
        source.write_bytes(content)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(
            gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, _BY_GDCM[syntax]))
        )
        if not reader.Read():
            raise ValueError("gdcm cannot read the data set")
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise ValueError(f"gdcm cannot write {syntax} from these pixels")
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(target))
        if not writer.Write():
            raise ValueError(f"gdcm cannot write {syntax}")
        # gdcm writes a header of its own: the pixels are its, all else stays as it was made.
        compressed = pydicom.dcmread(target)
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
    dataset.PixelData = compressed.PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return _written(dataset)


def _by_jpeg(dataset: "Dataset", extended: bool) -> None:
    """Replaces the pixels by lossy JPEG of 8 bits, or (extended) of 12."""
    from pydicom.encaps import encapsulate

    frames = dataset.pixel_array
    if int(dataset.get("NumberOfFrames", 1)) == 1:
        frames = frames[None]
    encoded = []
    for frame in frames:
        if extended and dataset.BitsAllocated > 8:
            if frame.ndim != 2 or dataset.PixelRepresentation or dataset.BitsStored > 12:
                raise ValueError("extended JPEG is written from gray of 12 bits or fewer")
            encoded.append(_jpeg_of_12_bits(frame))
        else:
            out = io.BytesIO()
            Image.fromarray(frame).save(out, "JPEG", quality=97, subsampling=0)
            encoded.append(out.getvalue())
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.LossyImageCompression = "01"


def _jpeg_of_12_bits(frame: "NDArray[Any]") -> bytes:
    """Gray JPEG of process 4 (ITU-T T.81): sequential, Huffman, 12 bits, steps of quantisation 2.

    No library at hand writes it. The code words are of nearly one length: short, not small.
    """
    from scipy.fft import dctn

    rows, columns = frame.shape
    padded = np.pad(frame.astype(float) - 2048.0, ((0, -rows % 8), (0, -columns % 8)), "edge")
    high, wide = padded.shape[0] // 8, padded.shape[1] // 8
    blocks = padded.reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    # The orthonormal transform is the one of T.81 A.3.3.
    levels = np.rint(dctn(blocks, axes=(1, 2), norm="ortho") / 2.0).astype(int)
    order = sorted(range(64), key=_zigzag)
    bits: list[str] = []
    before = 0
    for block in levels.reshape(-1, 64)[:, order]:
        difference, before = int(block[0]) - before, int(block[0])
        bits.append(f"{_size(difference):05b}" + _magnitude(difference))
        run = 0
        for value in map(int, block[1:]):
            run += 1
            if value:
                while run > 16:
                    bits.append(_ac_code(0xF0))
                    run -= 16
                bits.append(_ac_code((run - 1) << 4 | _size(value)) + _magnitude(value))
                run = 0
        if run:
            bits.append(_ac_code(0x00))
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    scan = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content

    size = rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    lengths = bytes(16 if i == 4 else 0 for i in range(16))
    ac_lengths = bytes({7: 127, 8: 129}.get(i, 0) for i in range(16))
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, b"\0" + bytes([2] * 64)),
            segment(0xC1, b"\x0c" + size + b"\x01\x01\x11\0"),
            segment(0xC4, b"\0" + lengths + bytes(range(16))),
            segment(0xC4, b"\x10" + ac_lengths + bytes(range(256))),
            segment(0xDA, b"\x01\x01\0\0\x3f\0"),
            scan,
            b"\xff\xd9",
        )
    )


def _zigzag(k: int) -> tuple[int, int]:
    row, column = divmod(k, 8)
    diagonal = row + column
    return diagonal, row if diagonal % 2 else column


def _size(value: int) -> int:
    return abs(value).bit_length()


def _magnitude(value: int) -> str:
    size = _size(value)
    return f"{value if value > 0 else value + 2**size - 1:0{size}b}" if size else ""


def _ac_code(symbol: int) -> str:
    """127 symbols of 8 bits, then 129 of 9, in the order of T.81 C.2."""
    return f"{symbol:08b}" if symbol < 127 else f"{127 * 2 + symbol - 127:09b}"


STORED = np.array([[0, 100, 200], [300, 400, 4095]], np.uint16)


def dicom(stored: np.ndarray = STORED, bits: int = 12, **attributes: Any) -> bytes:
    """A DICOM file; attributes by keyword, None removes one."""
    return to_bytes(make(stored, bits_stored=bits, modality="DX", **attributes))
