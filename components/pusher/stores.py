"""Versions of a model in an object store, where nothing can be renamed.

A version is there when its saved_model.pb is: that is written last, and removed first. A model
server that looks earlier finds a folder without a model, keeps the version that it has, and looks
again.
"""

import tempfile
from pathlib import Path

from components.baseline.versions import newest_first, next_version, same_files
from schema import storage

LAST = "saved_model.pb"


def push(model: Path, base: str, wanted: int) -> str:
    """Puts a model under a number above all that were there before.

    What a killed push left is removed first: one pipeline at a time pushes to a folder. A model
    that is the newest version already is not pushed again.

    Args:
      model: folder of the SavedModel.
      base: URI that servers watch.
      wanted: number of the version, unless a greater one was there.

    Returns:
      Name of the version.

    Raises:
      PneumoError: the store does not take it.
    """
    seen = newest_first(base)
    whole = [name for name in seen if storage.exists(storage.join(base, name, LAST))]
    for name in set(seen) - set(whole):
        storage.remove(storage.join(base, name))
    if whole and _holds(storage.join(base, whole[0]), model):
        return whole[0]
    version = next_version(seen, wanted)
    storage.put(model, storage.join(base, version), last=[LAST])
    return version


def _holds(uri: str, model: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="pneumo-") as scratch:
        return same_files(storage.fetch(uri, Path(scratch) / "version"), model)
