"""Renders stored values to the image that a viewer shows.

Applies the modality transform (rescale or table), the VOI transform (table or window) and the
presentation (MONOCHROME1 is inverted), in the order of DICOM PS3.3 and PS3.4 N.2. A transform that
is invalid or shows nothing is as if there were none, and noted.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.notes import (
    OUTLIERS,
    RESCALE_IGNORED,
    TABLE_CORRECTED,
    TABLE_IGNORED,
    WINDOW_IGNORED,
)
from core.images.dicom.tables import read_table
from core.images.dicom.value_range import sampled, shows_something, value_range
from core.images.dicom.values import finite_numbers, is_present, numbers, value
from core.images.errors import ImageError

FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def render(
    values: NDArray[Any], dataset: Any, bits_stored: int, notes: set[str]
) -> NDArray[np.float64]:
    """Renders stored values.

    Without a table or window, values of 8 bits or fewer that no modality transform changes keep
    their scale (0 is black, all bits set is white); others are stretched to their range.

    Args:
      values: integers [rows, columns].
      dataset: tags of the file.
      bits_stored: per value.
      notes: codes of `notes.NOTES`, to which those of the image are added.

    Returns:
      float64 [rows, columns] in 0 (black) to 1 (white).

    Raises:
      ImageError: an unreadable table of the modality transform.
    """
    physical, changed = _modality(values, dataset, notes)
    image = _voi(physical, dataset, notes)
    if image is None:
        if bits_stored <= 8 and not changed and values.min() >= 0:
            image = values / (2.0**bits_stored - 1.0)
        else:
            image = stretch(physical, values, _padding(dataset, values, bits_stored), notes)
    image = np.clip(image, 0.0, 1.0)
    return 1.0 - image if dataset.PhotometricInterpretation == "MONOCHROME1" else image


def is_valid_window(center: float, width: float, function: str = "LINEAR") -> bool:
    """Returns whether a window maps values (PS3.3 C.11.2.1.2)."""
    finite = bool(np.isfinite(center) and np.isfinite(width))
    return finite and function in FUNCTIONS and (width >= 1 if function == "LINEAR" else width > 0)


def window(
    values: NDArray[Any], center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float64]:
    """Maps values to 0 to 1 by a window: PS3.3 C.11.2.1.2 (linear), C.11.2.1.3 (sigmoid, exact)."""
    x, c, w = values.astype(np.float64), float(center), float(width)
    if function == "LINEAR":
        if w == 1:
            return (x > c - 0.5).astype(np.float64)
        return np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return np.clip((x - c) / w + 0.5, 0.0, 1.0)
    return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - c) / w, -700.0, 700.0)))


def stretch(
    values: NDArray[Any],
    stored: NDArray[Any] | None = None,
    padding: tuple[float, float] | None = None,
    notes: set[str] | None = None,
) -> NDArray[np.float64]:
    """Maps the range of the values to 0 to 1 (see `value_range`); a constant image becomes 0.

    Args:
      values: after the modality transform, [rows, columns].
      stored: before the modality transform; needed with padding.
      padding: smallest and largest stored value of padding, which is excluded from the range unless
        it covers the image.
      notes: to which a note on outliers is added.
    """
    x = values.astype(np.float64)
    counted = sampled(x).ravel()
    if padding is not None and stored is not None:
        unpadded = counted[_outside(sampled(stored).ravel(), padding)]
        counted = unpadded if unpadded.size * 100 >= counted.size else counted
    low, high = value_range(counted)
    if high <= low:
        return np.zeros_like(x)
    beyond = max(float(counted.max()) - high, low - float(counted.min()))
    if notes is not None and beyond > high - low:
        notes.add(OUTLIERS)
    return np.clip((x - low) / (high - low), 0.0, 1.0)


def _outside(stored: NDArray[Any], padding: tuple[float, float]) -> NDArray[np.bool_]:
    return (stored < padding[0]) | (stored > padding[1])


def _modality(values: NDArray[Any], dataset: Any, notes: set[str]) -> tuple[NDArray[Any], bool]:
    """Returns the values after the modality transform, and whether there is one."""
    if value(dataset, "ModalityLUTSequence"):
        table = read_table(dataset, "ModalityLUTSequence", values)
        if table.corrected:
            notes.add(TABLE_CORRECTED)
        return table.look_up(values), True
    slopes = numbers(dataset, "RescaleSlope")
    offset = next(iter(numbers(dataset, "RescaleIntercept")), 0.0)
    if not slopes or (slopes[0] == 1.0 and offset == 0.0):
        return values, False
    if slopes[0] == 0.0:
        notes.add(RESCALE_IGNORED)
        return values, False
    return values.astype(np.float64) * slopes[0] + offset, True


def _voi(physical: NDArray[Any], dataset: Any, notes: set[str]) -> NDArray[np.float64] | None:
    """Returns the image by the table or the first usable window; None if there is none."""
    if value(dataset, "VOILUTSequence"):
        try:
            table = read_table(dataset, "VOILUTSequence", physical)
        except ImageError:
            notes.add(TABLE_IGNORED)
        else:
            image = table.look_up(physical) / (2.0**table.bits - 1.0)
            if shows_something(image):
                if table.corrected:
                    notes.add(TABLE_CORRECTED)
                return image
            notes.add(TABLE_IGNORED)
    for center, width, function in _windows(dataset):
        if is_valid_window(center, width, function):
            image = window(physical, center, width, function)
            if shows_something(image):
                return image
    if is_present(dataset, "WindowCenter") or is_present(dataset, "WindowWidth"):
        notes.add(WINDOW_IGNORED)
    return None


def _windows(dataset: Any) -> Iterator[tuple[float, float, str]]:
    """Yields center, width and function of the windows of a file, which are alternatives."""
    function = str(value(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
    centers = finite_numbers(dataset, "WindowCenter")
    for center, width in zip(centers, finite_numbers(dataset, "WindowWidth"), strict=False):
        yield center, width, function


def _padding(dataset: Any, values: NDArray[Any], bits_stored: int) -> tuple[float, float] | None:
    """Returns the smallest and largest stored value of padding (PS3.3 C.7.5.1.1.2).

    The VR of the tags often disagrees with the sign of the pixels, so that -2000 is stored as
    63536; and padding may have more bits than BitsStored.
    """
    declared = finite_numbers(dataset, "PixelPaddingValue")[:1]
    if not declared:
        return None
    declared += finite_numbers(dataset, "PixelPaddingRangeLimit")[:1]
    ends = [_as_stored(end, values, bits_stored) for end in declared]
    return min(ends), max(ends)


def _as_stored(number: float, values: NDArray[Any], bits_stored: int) -> float:
    """Returns a number with the sign and the bits of the values, so that it occurs if it can."""

    def wrapped(bits: int) -> int:
        low = int(number) % (1 << bits)
        return low - (1 << bits) if values.dtype.kind == "i" and low >> (bits - 1) else low

    candidates = [wrapped(8 * values.dtype.itemsize), wrapped(bits_stored)]
    return next((one for one in candidates if (values == one).any()), candidates[0])
