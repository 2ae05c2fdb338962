"""Forms in which names of files, folders, columns and labels are compared.

The same folder is `Niño` in a table, `NIÑO` on a camera, and has another Unicode form in an archive
made on a Mac.
"""

import os
import re
import unicodedata
from typing import Final

_WHOLE_NUMBER: Final = re.compile(r"([+-]?\d+)[.,]0+")


def fold(text: str) -> str:
    """Returns the form in which two names are compared: canonical caseless (Unicode 3.13, D145).

    Bytes of a file name that are not UTF-8 are read as Windows-1252.
    """
    if text.isascii():
        return text.strip().lower()
    raw = os.fsencode(text)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    decomposed = unicodedata.normalize("NFD", text.strip()).casefold()
    return unicodedata.normalize("NFC", decomposed)


def fold_label(text: str) -> str:
    """Returns the form in which two labels are compared; 1.0, as pandas writes 1, is 1."""
    folded = fold(text)
    match = _WHOLE_NUMBER.fullmatch(folded)
    return match[1] if match else folded
