"""Renders stored values to the image that a viewer shows.

Applies the modality transform (rescale or table), the VOI transform (table or window) and the
presentation (MONOCHROME1 is inverted), in the order of DICOM PS3.3 and PS3.4 N.2.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.values import integer, number, numbers, value
from core.images.errors import reject

_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"


def render(values: NDArray[Any], dataset: Any, bits_stored: int) -> NDArray[np.float64]:
    """Renders stored values.

    Without a table or window, values of 8 bits or fewer that no modality transform changes keep
    their scale (0 is black, all bits set is white); others are stretched to their range.

    Args:
      values: integers [rows, columns].
      dataset: tags of the file.
      bits_stored: per value.

    Returns:
      float64 [rows, columns] in 0 (black) to 1 (white).

    Raises:
      ImageError: an invalid table or window.
    """
    physical, changed = _modality(values, dataset)
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if value(dataset, "VOILUTSequence"):
        image = _voi_table(physical, dataset)
    elif center is not None and width is not None:
        function = str(value(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
        image = window(physical, center, width, function)
    elif bits_stored <= 8 and not changed and values.min() >= 0:
        image = values / (2.0**bits_stored - 1.0)
    else:
        image = stretch(physical, values, _padding(dataset))
    image = np.clip(image, 0.0, 1.0)
    return 1.0 - image if dataset.PhotometricInterpretation == "MONOCHROME1" else image


def window(
    values: NDArray[Any], center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float64]:
    """Maps values to 0 to 1 by a window: PS3.3 C.11.2.1.2 (linear), C.11.2.1.3 (sigmoid, exact).

    Raises:
      ImageError: an invalid width, or an unknown function.
    """
    x, c, w = values.astype(np.float64), float(center), float(width)
    if not np.isfinite(c + w) or (w < 1 if function == "LINEAR" else w <= 0):
        reject("window", f"invalid window: width {w:g}, center {c:g}")
    if function == "LINEAR":
        if w == 1:
            return (x > c - 0.5).astype(np.float64)
        return np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return np.clip((x - c) / w + 0.5, 0.0, 1.0)
    if function != "SIGMOID":
        reject("window", "unknown VOI LUT function")
    return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - c) / w, -700.0, 700.0)))


def stretch(
    values: NDArray[Any],
    stored: NDArray[Any] | None = None,
    padding: tuple[float, float] | None = None,
) -> NDArray[np.float64]:
    """Maps the range of the values to 0 to 1; a constant image becomes 0.

    Args:
      values: after the modality transform, [rows, columns].
      stored: before the modality transform; needed with padding.
      padding: smallest and largest stored value of padding, which is excluded from the range.
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
    """Returns the values after the modality transform, and whether there is one."""
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
    """Returns indices in a table, clipped to its ends (C.11.1.1)."""
    whole = np.rint(values).astype(np.int64)  # a rescale makes floats
    return np.clip(whole - first, 0, entries - 1)


def _table(
    dataset: Any, keyword: str, values: NDArray[Any]
) -> tuple[NDArray[np.float64], int, int]:
    """Returns entries, first mapped value and bits per entry of the first table under a keyword."""
    try:
        item = value(dataset, keyword)[0]
        raw = item["LUTDescriptor"].value
        entries, first, bits = (int(number) for number in raw)
        data = item["LUTData"].value
    except Exception:
        reject("corrupt", f"the table of {keyword} cannot be read")
    # PS3.3 C.11.1.1: 0 means 65,536; the first value is signed if the mapped values are.
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
        reject("corrupt", f"the table of {keyword} cannot be read")
    if len(table) != entries:
        reject("corrupt", f"the table of {keyword} has {len(table)} of its {entries} entries")
    return table, first, bits


def _big_endian(dataset: Any) -> bool:
    meta = getattr(dataset, "file_meta", None)
    return meta is not None and meta.get("TransferSyntaxUID") == _BIG_ENDIAN


def _padding(dataset: Any) -> tuple[float, float] | None:
    """Returns the smallest and largest stored value of padding (PS3.3 C.7.5.1.1.2)."""
    ends = [*numbers(dataset, "PixelPaddingValue")[:1]]
    if not ends:
        return None
    ends += numbers(dataset, "PixelPaddingRangeLimit")[:1]
    return min(ends), max(ends)
