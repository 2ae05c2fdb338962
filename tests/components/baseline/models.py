"""Folders that look like SavedModels."""

import json
from pathlib import Path
from typing import Any


def saved_model(folder: Path, name: str = "demo", task: str = "binary", body: str = "one") -> Path:
    """A folder with the files that are looked at."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "variables").mkdir()
    about: dict[str, Any] = {"name": name, "task": {"name": task}}
    (folder / "assets.extra" / "pneumo.json").write_text(json.dumps(about))
    (folder / "variables" / "variables.data-00000-of-00001").write_text(body)
    (folder / "saved_model.pb").write_text("graph")
    return folder
