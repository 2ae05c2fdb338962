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


def read_run(file: Path, work: Path) -> dict[str, Any]:
    """Reads a `run.json`; its paths are those of today if the work folder was moved or copied.

    Args:
      file: path of the file.
      work: the work folder.

    Returns:
      Content of the file; empty if there is none.
    """
    run = read_json_object(file)
    recorded = recorded_folder(run)
    if recorded is None or not (work / "artifacts").is_dir() or recorded == str(work.resolve()):
        return run
    return {key: _relocate(value, recorded, str(work.resolve())) for key, value in run.items()}


def recorded_folder(run: Mapping[str, Any]) -> str | None:
    """Returns the work folder in the paths of a run, WORK/artifacts/NODE/KEY/EXECUTION."""
    for row in run.get("nodes", []):
        for uri in (uri for uris in row.get("outputs", {}).values() for uri in uris):
            folder = Path(uri).parents
            if len(folder) > 3 and folder[2].name == "artifacts":
                return str(folder[3])
    return None


def _relocate(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _relocate(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_relocate(item, old, new) for item in value]
    inside = isinstance(value, str) and (value == old or value.startswith(f"{old}/"))
    return new + value[len(old) :] if inside else value


def output(run: Mapping[str, Any], node: str, key: str) -> Path:
    """Returns the folder of an output of a node.

    Raises:
      PneumoError: the run has no such node or output.
    """
    for row in run.get("nodes", []):
        if row["name"] == node and row["outputs"].get(key):
            return Path(row["outputs"][key][0])
    raise PneumoError(f"the run has no {key} of node {node}: run the configuration again")
