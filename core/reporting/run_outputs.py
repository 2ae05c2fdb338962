"""Reads `run.json` of `pneumo run` and finds the outputs of its nodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schema.errors import PneumoError
from schema.files import read_json


def read_json_object(file: Path) -> dict[str, Any]:
    """Reads a JSON object of a run; empty if there is no such file.

    Raises:
      PneumoError: it is not JSON.
    """
    try:
        return dict(read_json(file) or {})
    except ValueError:
        raise PneumoError(
            f"{file} is not valid JSON: delete it and run the configuration again"
        ) from None


def output(run: Mapping[str, Any], node: str, key: str) -> Path:
    """Returns the folder of an output of a node.

    Raises:
      PneumoError: the run has no such node or output.
    """
    for row in run.get("nodes", []):
        if row["name"] == node and row["outputs"].get(key):
            return Path(row["outputs"][key][0])
    raise PneumoError(f"the run has no {key} of node {node}: run the configuration again")
