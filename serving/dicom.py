"""A radiograph as DICOM -> the PNG that a viewer would show.

Stored values pass through the modality transform (rescale), the VOI transform (look-up table or
window) and the presentation (MONOCHROME1 is inverted), in the order of DICOM PS3.3 and PS3.4 N.2.
"""

import io
from typing import TYPE_CHECKING, Any

from schema.errors import PneumoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 256 << 20
MAX_PIXELS = 64 << 20
_SHOWN = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of a DICOM file."""
    return head[128:132] == b"DICM"


def to_png(content: bytes) -> bytes:
    """Renders a DICOM file: gray PNG, of 8 bits where it stores 8 or fewer, else of 16.

    Raises:
      PneumoError: pydicom is missing, or the file has no single gray picture that can be decoded.
    """
    try:
        import pydicom
    except ImportError as error:
        raise PneumoError(
            "DICOM needs pydicom: install the extra with `pip install 'pneumo-tfx[dicom]'`"
        ) from error
    # Files of the wild break rules that do not touch the picture: no warning for each.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    # pydicom and the decoders behind it raise errors of every kind on a damaged file.
    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        _check(dataset)
        shown = render(dataset)
    except PneumoError:
        raise
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PneumoError(f"a DICOM file that cannot be decoded ({first[:160]})") from error
    return _png(shown, 8 if int(dataset.BitsStored) <= 8 else 16)


def render(dataset: Any) -> "NDArray[np.float64]":
    """The picture of a pydicom data set with one gray frame.

    Returns:
      float64 [rows, columns] in 0 (black) .. 1 (white).
    """
    import numpy as np
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    values = apply_modality_lut(dataset.pixel_array, dataset)
    if dataset.get("VOILUTSequence"):
        # A rescale makes floats, a table is looked up by integers.
        whole = np.rint(values).astype(np.int64)
        # The third number of the descriptor is the bits of an entry.
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        shown = apply_voi_lut(whole, dataset, prefer_lut=True) / (2.0**bits - 1.0)
    elif _first(dataset, "WindowWidth") is not None and _first(dataset, "WindowCenter") is not None:
        function = str(dataset.get("VOILUTFunction") or "LINEAR")
        center, width = _first(dataset, "WindowCenter"), _first(dataset, "WindowWidth")
        shown = window(values, center, width, function)
    else:
        shown = stretch(values, _padding(dataset))
    shown = np.clip(shown, 0.0, 1.0)
    return 1.0 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def window(
    values: "NDArray[Any]", center: Any, width: Any, function: str = "LINEAR"
) -> "NDArray[np.float64]":
    """Values -> 0..1 by a window: PS3.3 C.11.2.1.2 (linear) and C.11.2.1.3 (sigmoid, exact).

    Raises:
      PneumoError: a width that the function does not allow, or an unknown function.
    """
    import numpy as np

    x, c, w = values.astype(np.float64), float(center), float(width)
    if not np.isfinite(c + w) or (w < 1 if function == "LINEAR" else w <= 0):
        raise PneumoError(f"a window {w:g} wide about {c:g} is none")
    if function == "LINEAR":
        if w == 1:
            return (x > c - 0.5).astype(np.float64)
        return np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return np.clip((x - c) / w + 0.5, 0.0, 1.0)
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - c) / w, -700.0, 700.0)))
    raise PneumoError(f"VOI LUT function {function} is unknown")


def stretch(values: "NDArray[Any]", ignored: float | None = None) -> "NDArray[np.float64]":
    """Values -> 0..1 from the least to the greatest; a flat image becomes 0.

    Args:
      values: after the modality transform, [rows, columns].
      ignored: the value of padding, which counts for neither end.
    """
    import numpy as np

    x = values.astype(np.float64)
    counted = x[x != ignored] if ignored is not None else x
    if not counted.size:
        return np.zeros_like(x)
    low, high = float(counted.min()), float(counted.max())
    return np.clip((x - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(x)


def _check(dataset: Any) -> None:
    if "PixelData" not in dataset:
        raise PneumoError("a DICOM file without pixels")
    kind = dataset.get("PhotometricInterpretation")
    frames = int(dataset.get("NumberOfFrames") or 1)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if kind not in _SHOWN or int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise PneumoError(f"a DICOM file of {kind} pixels; a radiograph is {' or '.join(_SHOWN)}")
    if frames != 1:
        raise PneumoError(f"a DICOM file of {frames} frames; a radiograph has one")
    if rows * columns > MAX_PIXELS:
        raise PneumoError(f"TOO_MANY_PIXELS: {rows} x {columns}")


def _first(dataset: Any, name: str) -> Any:
    """The first of an attribute's values: later windows are alternatives."""
    value = dataset.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return value
    return value[0] if len(value) else None


def _padding(dataset: Any) -> float | None:
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    # Padding is told as a stored value; the rescale is linear where there is one.
    slope, offset = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    number = float(value)
    return number if slope is None else number * float(slope) + float(offset or 0.0)


def _png(shown: "NDArray[np.float64]", bits: int) -> bytes:
    import numpy as np
    from PIL import Image

    kind = np.uint8 if bits == 8 else np.uint16
    pixels = np.rint(shown * (2**bits - 1)).astype(kind)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
