"""Where each input of the card comes from, as ML Metadata hands it to the node."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfx import types


def rows(input_dict: "dict[str, list[types.Artifact]]") -> list[dict[str, Any]]:
    """One row for each input artifact, by time.

    Returns:
      rows with `key`, `type`, `artifact` (id), `node` and `execution` that made it (from TFX's
      layout NODE/KEY/EXECUTION of output folders; empty where the folder has another), `made` (UTC;
      empty where the store gives no time), `folder`, `properties`.
    """
    found = [_row(key, artifact) for key, given in input_dict.items() for artifact in given]
    return sorted(found, key=lambda row: (row["made"], row["artifact"]))


def _row(key: str, artifact: "types.Artifact") -> dict[str, Any]:
    proto = artifact.mlmd_artifact
    *_, node, _, number = ("", "", "", *Path(artifact.uri).parts)
    told = number.isdigit()
    return {
        "key": key,
        "type": artifact.type_name,
        "artifact": int(artifact.id),
        "node": node if told else "",
        "execution": int(number) if told else None,
        "made": time_of(proto.create_time_since_epoch),
        "folder": "/".join(Path(artifact.uri).parts[-3:]) if told else artifact.uri,
        "properties": {
            name: getattr(value, value.WhichOneof("value"))
            for name, value in sorted(proto.custom_properties.items())
            if value.WhichOneof("value") in ("int_value", "string_value", "double_value")
            and name not in ("is_external", "tfx_version")
        },
    }


def time_of(milliseconds: int) -> str:
    """Milliseconds since 1970 -> UTC, as 2026-01-31 14:05:00; empty for 0."""
    if not milliseconds:
        return ""
    at = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S")
