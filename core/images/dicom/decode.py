"""Decodes the stored pixel values of every supported transfer syntax with pydicom's plugins.

The order of the plugins is fixed, so that a file gives the same pixels wherever the same packages
are installed. gdcm is not used: it writes the content of files to standard error.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.read import CheckedDicom
from core.images.errors import reject

_JPEG: Final = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_JPEG_LOSSLESS: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS: Final = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000: Final = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_HTJ2K: Final = tuple(f"1.2.840.10008.1.2.4.20{n}" for n in (1, 2, 3))
_RLE: Final = "1.2.840.10008.1.2.5"
# Transfer syntax -> plugins in order of preference, and the package to install if none is present.
_PLUGINS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    _JPEG[0]: (("pillow", "pylibjpeg"), "pillow"),
    _JPEG[1]: (("pylibjpeg",), "pylibjpeg-libjpeg"),
    **dict.fromkeys(_JPEG_LOSSLESS, (("pylibjpeg",), "pylibjpeg-libjpeg")),
    **dict.fromkeys(_JPEG_LS, (("pyjpegls", "pylibjpeg"), "pyjpegls")),
    **dict.fromkeys(_JPEG_2000, (("pylibjpeg", "pillow"), "pylibjpeg-openjpeg")),
    **dict.fromkeys(_HTJ2K, (("pylibjpeg",), "pylibjpeg-openjpeg")),
    _RLE: (("pylibjpeg", "pydicom"), "pylibjpeg-rle"),
}
_END: Final = b"\xff\xd9"
_WITH_UNUSED_BITS: Final[dict[str, Any]] = {"correct_unused_bits": False}


def stored_words(checked: CheckedDicom) -> NDArray[Any]:
    """Decodes the pixels as stored: integers [rows, columns], with the unused bits.

    Raises:
      ImageError: a plugin is missing, or the pixels are truncated or damaged.
    """
    from pydicom.pixels import get_decoder

    decoder = get_decoder(checked.syntax)
    plugins: tuple[str, ...] = ("",)
    if decoder.is_encapsulated:
        preferred, package = _PLUGINS.get(checked.syntax, ((), ""))
        plugins = tuple(name for name in preferred if name in decoder.available_plugins)
        if not plugins:
            name = decoder.UID.name
            reject("missing_plugin", f"{name} needs {package}; install the extra `dicom`")
        _check_frame(checked)
    else:
        _check_length(checked)
    values: Any = None
    for plugin in plugins:
        try:
            values, _ = decoder.as_array(
                checked.dataset, index=0, decoding_plugin=plugin, **_WITH_UNUSED_BITS
            )
            break
        except MemoryError:
            reject("too_large", "not enough memory to decode it")
        except Exception:  # the decoders raise errors of every kind on damaged pixels
            continue
    if values is None:
        reject("corrupt", f"its pixels cannot be decoded ({decoder.UID.name})")
    if values.shape != (checked.rows, checked.columns):
        reject("corrupt", "the size of its pixels is not that of its header")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _check_length(checked: CheckedDicom) -> None:
    bits = int(checked.dataset.BitsAllocated)
    needed = checked.rows * checked.columns * bits // 8
    stored = len(checked.dataset.PixelData)
    if stored < needed:
        reject("truncated", f"{stored} of {needed} bytes of pixels")


def _check_frame(checked: CheckedDicom) -> None:
    """Checks the header of the compressed image before a decoder allocates memory for its size."""
    from pydicom.encaps import generate_frames

    try:
        frame = bytes(next(generate_frames(checked.dataset.PixelData, number_of_frames=1)))
    except Exception:
        reject("truncated", "its compressed pixels are truncated or damaged")
    if checked.syntax == _RLE:
        return
    size = coded_size(frame)
    if size is None:
        reject("corrupt", "its compressed pixels have no header")
    if size != (checked.rows, checked.columns):
        reject("corrupt", "the size of its compressed pixels is not that of its header")
    if _END not in frame[-64:]:
        reject("truncated", "the end of its compressed pixels is missing")


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """Reads rows and columns from a JPEG, JPEG-LS or JPEG 2000 header; None without a header."""
    if frame.startswith(b"\xff\x4f\xff\x51"):  # JPEG 2000: SOC, SIZ (ISO/IEC 15444-1, A.5.1)
        width, height, left, top = (
            int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20)
        )
        return height - top, width - left
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        # SOF0 to SOF15 without DHT, JPG and DAC; SOF55 of JPEG-LS.
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            rows, columns = (int.from_bytes(frame[at + n : at + n + 2], "big") for n in (5, 7))
            return rows, columns
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
