"""Texts that stand for a missing patient: `nan`, `unknown`, `ANONYMOUS`, `000`.

Taken for an identity, such a text merges all patients that lack one. Longer texts that contain a
number (`anonymous 7`) are pseudonyms and do identify.
"""

import re
import unicodedata
from typing import Final

_WORDS: Final = frozenset(
    {"nan", "none", "null", "nil", "na", "nat", "nn", "unknown", "unk"}
    | {"unidentified", "undefined", "unspecified", "unassigned", "missing", "empty"}
    | {"blank", "anonymous", "anon", "anonym", "anonyme", "anonymized", "anonymised"}
    | {"anonymisiert", "anonimo", "anónimo", "deidentified", "deid", "redacted"}
    | {"removed", "deleted", "masked", "hidden", "private", "confidential", "dummy"}
    | {"default", "placeholder", "tbd", "tba", "todo", "test", "unbekannt", "inconnu"}
    | {"desconocido", "sconosciuto", "noname"}
)
# Words without a meaning of their own: "patient id", "not available", "no name".
_FILLERS: Final = frozenset(
    {"patient", "patientid", "patientname", "patients", "subject", "person", "name"}
    | {"id", "ids", "no", "not", "number", "value", "available", "applicable"}
    | {"known", "given", "specified", "provided", "data", "de", "identified"}
)
_ALL: Final = _WORDS | _FILLERS
_WORD: Final = re.compile(r"[^\W_]+")
_NEGATIVE: Final = re.compile(r"-\d+(\.\d+)?")  # a code such as -1 or -99


def is_placeholder(text: str) -> bool:
    """Returns whether a text stands for a missing identity.

    Case, spaces and punctuation are ignored. Empty texts, only zeros, only the letter x (twice or
    more) and negative numbers are placeholders too.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    words = _WORD.findall(folded)
    joined = "".join(words)
    return (
        joined in _ALL
        or all(word in _ALL for word in words)
        or not joined.strip("0")
        or (len(joined) > 1 and not joined.strip("x"))
        or _NEGATIVE.fullmatch(folded) is not None
    )
