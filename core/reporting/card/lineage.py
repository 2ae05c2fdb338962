"""Where each input of the card comes from, as ML Metadata hands it to the node."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schema.storage import ORIGIN

if TYPE_CHECKING:
    from tfx import types


def rows(input_dict: "dict[str, list[types.Artifact]]") -> list[dict[str, Any]]:
    """One row for each input artifact, by time.

    Returns:
      rows with `key`, `type`, `artifact` (id), `node` and `execution` that made it (from TFX's
      layout NODE/KEY/EXECUTION of output folders; empty where the folder has another), `made` (UTC;
      empty where the store gives no time), `folder` (of an artifact in an object store its URI),
      `properties`.
    """
    found = [_row(key, artifact) for key, given in input_dict.items() for artifact in given]
    return sorted(found, key=lambda row: (row["made"], row["artifact"]))


def _row(key: str, artifact: "types.Artifact") -> dict[str, Any]:
    proto = artifact.mlmd_artifact
    # On a cluster the node works on a copy.
    where = artifact.get_string_custom_property(ORIGIN) or artifact.uri
    *_, node, _, number = ("", "", "", *Path(where).parts)
    told = number.isdigit()
    return {
        "key": key,
        "type": artifact.type_name,
        "artifact": int(artifact.id),
        "node": node if told else "",
        "execution": int(number) if told else None,
        "made": time_of(proto.create_time_since_epoch),
        "folder": "/".join(Path(where).parts[-3:]) if told else where,
        "properties": {
            name: value
            for name in sorted(proto.custom_properties)
            if name not in ("is_external", "tfx_version", ORIGIN)
            and isinstance(value := _value(artifact, name), int | float | str)
        },
    }


def _value(artifact: "types.Artifact", name: str) -> Any:
    """A custom property; a cluster hands each over as JSON, where all numbers are floats."""
    value = artifact.get_json_value_custom_property(name)
    if value is None:
        return artifact.get_custom_property(name)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def time_of(milliseconds: int) -> str:
    """Milliseconds since 1970 -> UTC, as 2026-01-31 14:05:00; empty for 0."""
    if not milliseconds:
        return ""
    at = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S")
