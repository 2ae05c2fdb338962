"""The Baseline node.

`components.resolver` asks ML Metadata for the latest blessed model. Kubeflow Pipelines and Vertex
AI run no resolver of ours; but only blessed models are pushed, so the folder of the pushed versions
knows as well.

Usage:
  baseline = Baseline(candidate=trainer.outputs["model"], push_to="gs://bucket/serving")
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.baseline.executor import Executor


class BaselineSpec(component_spec.ComponentSpec):
    """Takes a candidate, gives the model that it has to beat."""

    PARAMETERS = {"push_to": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"candidate": component_spec.ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Baseline(base_component.BaseComponent):
    """Finds the newest pushed version of the same configuration and task.

    Its answer depends on a folder that no cache knows of: it must never be answered from one.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, candidate: types.BaseChannel, push_to: str) -> None:
        """Builds the node.

        Args:
          candidate: output of Trainer; it is not compared with itself.
          push_to: folder or URI of the pushed versions.
        """
        super().__init__(
            BaselineSpec(
                candidate=candidate,
                push_to=push_to,
                model=types.Channel(type=standard_artifacts.Model),
            )
        )
