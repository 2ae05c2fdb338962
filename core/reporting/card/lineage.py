"""Origin of each input of the card, from ML Metadata."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema.storage import ORIGIN

if TYPE_CHECKING:
    from tfx import types


def lineage_rows(input_dict: "dict[str, list[types.Artifact]]") -> list[dict[str, Any]]:
    """Returns one row per input artifact, sorted by time.

    Returns:
      rows of `key`, `type`, `artifact` (id), `node` and `execution` that created it (from TFX's
      folder layout NODE/KEY/EXECUTION; empty in other layouts), `made` (UTC; empty if unknown),
      `folder` (URI of an artifact in an object store), `properties`.
    """
    table = [_row(key, artifact) for key, inputs in input_dict.items() for artifact in inputs]
    return sorted(table, key=lambda row: (row["made"], row["artifact"]))


def _row(key: str, artifact: "types.Artifact") -> dict[str, Any]:
    proto = artifact.mlmd_artifact
    # On a cluster the node works on a copy.
    uri = artifact.get_string_custom_property(ORIGIN) or artifact.uri
    *_, node, _, execution = ("", "", "", *Path(uri).parts)
    has_layout = execution.isdigit()
    return {
        "key": key,
        "type": artifact.type_name,
        "artifact": int(artifact.id),
        "node": node if has_layout else "",
        "execution": int(execution) if has_layout else None,
        "made": format_time(proto.create_time_since_epoch),
        "folder": "/".join(Path(uri).parts[-3:]) if has_layout else uri,
        "properties": {
            name: value
            for name in sorted(proto.custom_properties)
            if name not in ("is_external", "tfx_version", ORIGIN)
            and isinstance(value := _value(artifact, name), int | float | str)
        },
    }


def _value(artifact: "types.Artifact", name: str) -> Any:
    """Returns a custom property; on a cluster each is JSON, where all numbers are floats."""
    value = artifact.get_json_value_custom_property(name)
    if value is None:
        return artifact.get_custom_property(name)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def format_time(milliseconds: int) -> str:
    """Formats milliseconds since 1970 in UTC, as 2026-01-31 14:05:00; empty for 0."""
    if not milliseconds:
        return ""
    at = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S")
