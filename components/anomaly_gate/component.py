"""The AnomalyGate node.

TFX's ExampleValidator records anomalies and goes on. Training on data that breaks the contract is
never what a user wants, so this node turns an anomaly into the end of the run, with its text.

Usage:
  gate = AnomalyGate(anomalies=example_validator.outputs["anomalies"])
  transform.add_upstream_node(gate)
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.anomaly_gate.executor import Executor


class DataVerdict(types.Artifact):
    """Says that the data of a run kept the contract; holds the splits that were looked at."""

    TYPE_NAME = "components.DataVerdict"


class AnomalyGateSpec(component_spec.ComponentSpec):
    """Takes anomalies, gives a verdict."""

    PARAMETERS: dict = {}
    INPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)
    }
    OUTPUTS = {"verdict": component_spec.ChannelParameter(type=DataVerdict)}


class AnomalyGate(base_component.BaseComponent):
    """Fails when a split has anomalies."""

    SPEC_CLASS = AnomalyGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, anomalies: types.BaseChannel) -> None:
        """Builds the node.

        Args:
          anomalies: output of ExampleValidator.
        """
        super().__init__(
            AnomalyGateSpec(anomalies=anomalies, verdict=types.Channel(type=DataVerdict))
        )
