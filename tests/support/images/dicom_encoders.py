"""Encoders of compressed DICOM pixels that pydicom does not have: JPEG by gdcm, Pillow or numpy."""

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from pydicom import Dataset

GDCM_SYNTAXES: Final = {
    "1.2.840.10008.1.2.4.57": "JPEGLosslessProcess14",
    "1.2.840.10008.1.2.4.70": "JPEGLosslessProcess14_1",
}


def compress_by_gdcm(content: bytes, syntax: str) -> bytes:
    import gdcm
    import pydicom

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.dcm", Path(folder) / "out.dcm"
        source.write_bytes(content)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(
            gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, GDCM_SYNTAXES[syntax]))
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
    return write_dataset(dataset)


def compress_by_jpeg(dataset: "Dataset", extended: bool) -> None:
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
            encoded.append(_encode_12_bits(frame))
        else:
            out = io.BytesIO()
            Image.fromarray(frame).save(out, "JPEG", quality=97, subsampling=0)
            encoded.append(out.getvalue())
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.LossyImageCompression = "01"


def _encode_12_bits(frame: "NDArray[Any]") -> bytes:
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


def write_dataset(dataset: "Dataset") -> bytes:
    import pydicom

    out = io.BytesIO()
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()
