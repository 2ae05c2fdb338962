"""Looks values up in the tables of a DICOM file (PS3.3 C.11.1.1).

Descriptors often disagree with their table: in the number of entries, in the bits of an entry, in
the sign of the first value. The entries are trusted.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.values import value
from core.images.errors import reject

_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_WORDS: Final = 65536


@dataclass(frozen=True)
class LookupTable:
    """Entries of a table.

    Attributes:
      entries: float64 [n].
      first: value that is mapped to the first entry.
      bits: of an entry.
      corrected: whether the descriptor disagrees.
    """

    entries: NDArray[np.float64]
    first: int
    bits: int
    corrected: bool

    def look_up(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the entry of each value; values outside get the first or last entry."""
        whole = np.rint(values).astype(np.int64)  # a rescale makes floats
        return self.entries[np.clip(whole - self.first, 0, len(self.entries) - 1)]


def read_table(dataset: Any, keyword: str, values: NDArray[Any]) -> LookupTable:
    """Reads the first table under a keyword.

    Args:
      dataset: tags of the file.
      keyword: ModalityLUTSequence or VOILUTSequence.
      values: that are looked up.

    Raises:
      ImageError: the table cannot be read.
    """
    try:
        item = value(dataset, keyword)[0]
        count, first, bits = (int(number) for number in item["LUTDescriptor"].value)
        data = item["LUTData"].value
        # PS3.3 C.11.1.1: 0 means 65,536.
        count = count % _WORDS or _WORDS
        entries = _entries(data, count, bits, _is_big_endian(dataset))[:_WORDS]
        top = int(entries.max()).bit_length()
    except Exception:  # pydicom converts on access, and raises errors of every kind
        reject("corrupt", f"the table of {keyword} cannot be read")
    start = _first(first, len(entries), values)
    # The first value is signed if the pixels are, whatever its VR says; entries of a modality table
    # need not use all bits.
    wrong = len(entries) != count or (keyword == "VOILUTSequence" and max(top, 1) != bits)
    return LookupTable(entries, start, max(top, 1), wrong)


def _entries(data: Any, count: int, bits: int, big_endian: bool) -> NDArray[np.float64]:
    if isinstance(data, bytes | bytearray):
        single = len(data) in (count, count + count % 2)
        kind = "u1" if single else ">u2" if big_endian else "<u2"
        whole = bytes(data)[: len(data) // (1 if single else 2) * (1 if single else 2)]
        entries = np.frombuffer(whole, kind)
        # An entry beyond the descriptor may be the byte that makes the length even.
        entries = entries[:count] if single else entries
    else:
        entries = np.atleast_1d(np.asarray(data))
        if bits <= 8 and entries.max() > 255 and len(entries) == (count + 1) // 2:
            entries = entries.astype("<u2").view("u1")[:count]  # two entries in a word
    if entries.min() < 0 or entries.max() >= _WORDS:
        raise ValueError
    return entries.astype(np.float64)


def _first(first: int, count: int, values: NDArray[Any]) -> int:
    """Returns the first value with the sign that maps most of the range of the values."""
    low, high = float(values.min()), float(values.max())
    first = first % _WORDS

    def overlap(start: int) -> float:
        return min(high, start + count - 1) - max(low, start)

    return max((first, first - _WORDS), key=overlap)


def _is_big_endian(dataset: Any) -> bool:
    meta = getattr(dataset, "file_meta", None)
    return meta is not None and meta.get("TransferSyntaxUID") == _BIG_ENDIAN
