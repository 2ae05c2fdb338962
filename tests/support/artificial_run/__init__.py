"""The JSON files of an artificial run, in the forms that ingest and the nodes write."""

import json
from pathlib import Path
from typing import Any

from core.ingest.summary import IngestSummary

HOSTILE_NAME = "<img src=x onerror=alert(1)>.jpeg"


def load(name: str, folder: Path = Path(__file__).parent) -> Any:
    """Reads `NAME.json` of the artificial run, or of another folder."""
    return json.loads((folder / f"{name}.json").read_text())


def dataset(folder: Path = Path(__file__).parent, **changes: Any) -> dict[str, Any]:
    """Reads `dataset.json`, changes it and validates it as the summary of ingest."""
    return IngestSummary(**load("dataset", folder) | changes).model_dump(mode="json")


TRAINING: dict[str, Any] = load("training")
REPORT: dict[str, Any] = load("report")
DECISION: dict[str, Any] = load("decision")
