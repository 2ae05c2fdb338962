"""Copies the newest pushed version that is comparable with a candidate."""

import shutil
from pathlib import Path

from schema.model_folder import GRAPH, MODEL_INFO, comparison_key, same_files, versions_newest_first
from schema.storage import exists, fetch, join, read_bytes


def copy_blessed(push_to: str, candidate: Path, dest: Path) -> str:
    """Copies the newest version that is comparable with a candidate and is not the candidate.

    Only blessed models are pushed. A candidate that an earlier run pushed is compared with the
    version before it, so that a repeated run has the same baseline.

    Args:
      push_to: folder or URI of the versions.
      candidate: folder of the candidate's SavedModel.
      dest: destination folder; not created if there is no such version.

    Returns:
      Name of the version; empty if there is none.

    Raises:
      PneumoError: the store is unreachable.
    """
    about = candidate / MODEL_INFO
    kind = comparison_key(about.read_bytes()) if about.is_file() else None
    if kind is None:
        return ""
    for version in versions_newest_first(push_to):
        uri = join(push_to, version)
        # saved_model.pb is written last: without it a push is running or was killed.
        if not all(exists(join(uri, name)) for name in (GRAPH, str(MODEL_INFO))):
            continue
        if comparison_key(read_bytes(join(uri, str(MODEL_INFO)))) != kind:
            continue
        fetch(uri, dest)
        if not same_files(candidate, dest):
            return version
        shutil.rmtree(dest)
    return ""
