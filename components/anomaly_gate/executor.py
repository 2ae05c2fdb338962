"""Reads what ExampleValidator found, and refuses to go on."""

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from schema.errors import PneumoError


def describe(split: str, anomalies: Any) -> list[str]:
    """One line for each anomaly of a split.

    Args:
      split: name of the split.
      anomalies: `tensorflow_metadata.proto.v0.anomalies_pb2.Anomalies`.
    """
    lines = [
        f"{split}: {name}: {info.short_description}: {info.description}"
        for name, info in sorted(anomalies.anomaly_info.items())
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        lines.append(f"{split}: {anomalies.dataset_anomaly_info.description}")
    if anomalies.data_missing:
        lines.append(f"{split}: has no records")
    return lines


class Executor(base_executor.BaseExecutor):
    """Raises when there is an anomaly."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads every split's anomalies.

        Raises:
          PneumoError: at least one anomaly; the message holds them all.
        """
        from tensorflow_metadata.proto.v0 import anomalies_pb2

        artifact = artifact_utils.get_single_instance(input_dict["anomalies"])
        splits = artifact_utils.decode_split_names(artifact.split_names)
        lines: list[str] = []
        for split in splits:
            path = Path(artifact.uri) / f"Split-{split}" / "SchemaDiff.pb"
            found = anomalies_pb2.Anomalies.FromString(path.read_bytes())
            lines += describe(split, found)
        if lines:
            raise PneumoError(
                "the data breaks the contract of schema/schema.pbtxt: "
                + "; ".join(lines)
                + ". Mend the data and ingest it again, or change the schema if the data is right"
            )
        uri = Path(artifact_utils.get_single_uri(output_dict["verdict"]))
        (uri / "verdict.json").write_text(json.dumps({"splits": splits, "anomalies": 0}))
