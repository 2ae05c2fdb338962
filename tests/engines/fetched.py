"""What `make test-engines` fetched, and why a test of it cannot run where something is missing."""

import os
import shutil
from pathlib import Path

from tests.engines import fetch

_NAMED = os.environ.get("PNEUMO_ENGINES", "")
ENGINES = Path(_NAMED or "/nowhere").resolve()


def missing(kind: str) -> str:
    """Why the tests of an engine cannot run here; empty where they can."""
    if not _NAMED:
        return f"runs with `make test-engines`, which fetches {kind} (PNEUMO_ENGINES is not set)"
    if shutil.which("java") is None:
        return "no java on the PATH"
    jar = fetch.jar_of(ENGINES, kind)
    return "" if jar.is_file() else f"no {jar}; python -m tests.engines.fetch {ENGINES}"
