"""The pushed versions: which of them a candidate has to beat."""

import shutil
from pathlib import Path

from schema.model_folder import MODEL_INFO, comparison_key, same_files, versions_newest_first
from schema.storage import exists, fetch, join, read_bytes


def copy_blessed(push_to: str, candidate: Path, dest: Path) -> str:
    """Copies the newest version that a candidate can be compared with, and that is not itself.

    Only blessed models are pushed. A candidate that was pushed by an earlier run is compared with
    what was there before it, so that the same run finds the same baseline again.

    Args:
      push_to: folder or URI of the versions.
      candidate: folder of its SavedModel.
      dest: where the copy goes; not there where none is found.

    Returns:
      Name of the version; empty where there is none.

    Raises:
      PneumoError: the store cannot be asked.
    """
    about = candidate / MODEL_INFO
    kind = comparison_key(about.read_bytes()) if about.is_file() else None
    if kind is None:
        return ""
    for version in versions_newest_first(push_to):
        uri = join(push_to, version)
        # saved_model.pb is written last: without it a push is under way, or was killed.
        if not all(exists(join(uri, name)) for name in ("saved_model.pb", str(MODEL_INFO))):
            continue
        if comparison_key(read_bytes(join(uri, str(MODEL_INFO)))) != kind:
            continue
        fetch(uri, dest)
        if not same_files(candidate, dest):
            return version
        shutil.rmtree(dest)
    return ""
