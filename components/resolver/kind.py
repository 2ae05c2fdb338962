"""Which models can be compared with each other."""

import json
from pathlib import PurePosixPath
from typing import Any

ABOUT = PurePosixPath("assets.extra") / "pneumo.json"  # below the folder of a SavedModel


def kind_of(about: str | bytes) -> tuple[str, str] | None:
    """What must agree for two models to be compared: name of the configuration, and the task.

    Args:
      about: content of `assets.extra/pneumo.json` of a SavedModel.

    Returns:
      None where the file does not tell.
    """
    try:
        facts: dict[str, Any] = json.loads(about)
        return str(facts["name"]), json.dumps(facts["task"], sort_keys=True)
    except (ValueError, KeyError, TypeError):
        return None
