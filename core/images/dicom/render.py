"""Stored values -> the picture that a viewer would show.

Values pass through the modality transform (rescale or table), the VOI transform (table or window)
and the presentation (MONOCHROME1 is inverted), in the order of DICOM PS3.3 and PS3.4 N.2.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.values import integer, number, numbers, value
from core.images.errors import reject

_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"


def render(values: NDArray[Any], dataset: Any, bits_stored: int) -> NDArray[np.float64]:
    """The picture of stored values.

    Without a table or window, values of 8 bits or fewer that no modality transform changes are
    shown as they are (0 is black, all bits set is white), others from the least to the greatest.

    Args:
      values: integers [rows, columns].
      dataset: the file's tags.
      bits_stored: of a value.

    Returns:
      float64 [rows, columns] in 0 (black) .. 1 (white).

    Raises:
      ImageError: a table or window that can't be.
    """
    physical, changed = _modality(values, dataset)
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if value(dataset, "VOILUTSequence"):
        shown = _voi_table(physical, dataset)
    elif center is not None and width is not None:
        function = str(value(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
        shown = window(physical, center, width, function)
    elif bits_stored <= 8 and not changed and values.min() >= 0:
        shown = values / (2.0**bits_stored - 1.0)
    else:
        shown = stretch(physical, values, _padding(dataset))
    shown = np.clip(shown, 0.0, 1.0)
    return 1.0 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def window(
    values: NDArray[Any], center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float64]:
    """Values -> 0..1 by a window: PS3.3 C.11.2.1.2 (linear) and C.11.2.1.3 (sigmoid, exact).

    Raises:
      ImageError: a width that the function does not allow, or an unknown function.
    """
    x, c, w = values.astype(np.float64), float(center), float(width)
    if not np.isfinite(c + w) or (w < 1 if function == "LINEAR" else w <= 0):
        reject("window", f"a window {w:g} wide about {c:g} is none")
    if function == "LINEAR":
        if w == 1:
            return (x > c - 0.5).astype(np.float64)
        return np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return np.clip((x - c) / w + 0.5, 0.0, 1.0)
    if function != "SIGMOID":
        reject("window", "its VOI LUT function is unknown")
    return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - c) / w, -700.0, 700.0)))


def stretch(
    values: NDArray[Any],
    stored: NDArray[Any] | None = None,
    padding: tuple[float, float] | None = None,
) -> NDArray[np.float64]:
    """Values -> 0..1 from the least to the greatest; a flat image becomes 0.

    Args:
      values: after the modality transform, [rows, columns].
      stored: before it, where there is padding.
      padding: least and greatest stored value of padding, which counts for neither end.
    """
    x = values.astype(np.float64)
    counted = x
    if padding is not None and stored is not None:
        counted = x[(stored < padding[0]) | (stored > padding[1])]
    if not counted.size:
        return np.zeros_like(x)
    low, high = float(counted.min()), float(counted.max())
    return np.clip((x - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(x)


def _modality(values: NDArray[Any], dataset: Any) -> tuple[NDArray[Any], bool]:
    """Values after the modality transform, and whether it changed any."""
    if value(dataset, "ModalityLUTSequence"):
        table, first, _ = _table(dataset, "ModalityLUTSequence", values)
        return table[_indices(values, first, len(table))], True
    slope = number(dataset, "RescaleSlope")
    offset = number(dataset, "RescaleIntercept") or 0.0
    if slope is None or (slope == 1.0 and offset == 0.0):
        return values, False
    return values.astype(np.float64) * slope + offset, True


def _voi_table(values: NDArray[Any], dataset: Any) -> NDArray[np.float64]:
    table, first, bits = _table(dataset, "VOILUTSequence", values)
    return table[_indices(values, first, len(table))] / (2.0**bits - 1.0)


def _indices(values: NDArray[Any], first: int, entries: int) -> NDArray[np.int64]:
    """Places in a table: below its first value and beyond its last, the ends stand (C.11.1.1)."""
    whole = np.rint(values).astype(np.int64)  # a rescale makes floats
    return np.clip(whole - first, 0, entries - 1)


def _table(
    dataset: Any, keyword: str, values: NDArray[Any]
) -> tuple[NDArray[np.float64], int, int]:
    """Entries, first value mapped and bits of an entry of the first table under a keyword."""
    try:
        item = value(dataset, keyword)[0]
        raw = item["LUTDescriptor"].value
        entries, first, bits = (int(one) for one in raw)
        data = item["LUTData"].value
    except Exception:
        reject("corrupt", f"the table of {keyword} can't be read")
    # PS3.3 C.11.1.1: 0 stands for 65,536; the first value is signed where what it looks up is.
    entries = entries % 65536 or 65536
    signed = integer(dataset, "PixelRepresentation", 0) == 1 or bool((values < 0).any())
    if signed and first > 32767:
        first -= 65536
    if not 8 <= bits <= 16:
        reject("corrupt", f"the table of {keyword} has entries of {bits} bits")
    try:
        if isinstance(data, bytes | bytearray):
            kind = "u1" if len(data) < 2 * entries else ">u2" if _big_endian(dataset) else "<u2"
            table = np.frombuffer(bytes(data), kind)[:entries].astype(np.float64)
        else:
            table = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    except Exception:
        reject("corrupt", f"the table of {keyword} can't be read")
    if len(table) != entries:
        reject("corrupt", f"the table of {keyword} has {len(table)} of its {entries} entries")
    return table, first, bits


def _big_endian(dataset: Any) -> bool:
    meta = getattr(dataset, "file_meta", None)
    return meta is not None and meta.get("TransferSyntaxUID") == _BIG_ENDIAN


def _padding(dataset: Any) -> tuple[float, float] | None:
    """Least and greatest stored value of padding (PS3.3 C.7.5.1.1.2)."""
    ends = [*numbers(dataset, "PixelPaddingValue")[:1]]
    if not ends:
        return None
    ends += numbers(dataset, "PixelPaddingRangeLimit")[:1]
    return min(ends), max(ends)
