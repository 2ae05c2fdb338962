"""The AnomalyGate node."""

import json
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies

from components.artifacts import DataVerdict
from schema.errors import PneumoError


@component
def AnomalyGate(
    anomalies: InputArtifact[ExampleAnomalies], verdict: OutputArtifact[DataVerdict]
) -> None:
    """Stops the run if ExampleValidator found an anomaly; ExampleValidator only records them.

    Usage:
      gate = AnomalyGate(anomalies=example_validator.outputs["anomalies"])
      transform.add_upstream_node(gate)

    Raises:
      PneumoError: a split has an anomaly; the message lists them all.
    """
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    splits = artifact_utils.decode_split_names(anomalies.split_names)
    lines: list[str] = []
    for split in splits:
        file = Path(anomalies.uri) / f"Split-{split}" / "SchemaDiff.pb"
        lines += describe(split, anomalies_pb2.Anomalies.FromString(file.read_bytes()))
    if lines:
        raise PneumoError(
            f"the data violates schema/schema.pbtxt: {'; '.join(lines)}. Correct the data and "
            "ingest it again, or change the schema if the data is right"
        )
    (Path(verdict.uri) / "verdict.json").write_text(json.dumps({"splits": splits, "anomalies": 0}))


def describe(split: str, anomalies: Any) -> list[str]:
    """Returns one line for each anomaly of a split.

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
