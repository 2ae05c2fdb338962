"""Checks the names of a class map against those of the source."""

import difflib
from collections.abc import Collection

from core.ingest.file_names import printable
from core.ingest.names.folding import fold_label
from core.ingest.options import IngestOptions
from schema import labels
from schema.errors import PneumoError


def check_class_map(options: IngestOptions, names: Collection[str]) -> None:
    """Checks that no name of `class_map` is a misspelt one of the source.

    Args:
      options: with the class map.
      names: of the folders, or the labels of a manifest.

    Raises:
      PneumoError: a name of the class map occurs nowhere, and is similar to one without a class.
    """
    known = {**options.classes(), **{p: p for p in labels.PATHOGENS}}
    folded = {fold_label(name): name for name in names}
    unknown = {key: printable(name) for key, name in folded.items() if key not in known}
    for key in options.class_map.keys() - folded.keys():
        if close := difflib.get_close_matches(key, unknown, 1, cutoff=0.8):
            raise PneumoError(
                f"class_map: {key!r} names no folder and no label; did you mean "
                f"{unknown[close[0]]!r}?"
            )
