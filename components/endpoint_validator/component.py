"""The EndpointValidator node.

TFX's InfraValidator needs a container engine or a cluster. On a laptop this node asks instead: does
`pneumo serve` load the candidate, and do its answers over REST and gRPC equal the Scorer's? It
writes the InfraBlessing that TFX's Pusher reads.

Usage:
  validator = EndpointValidator(model=trainer.outputs["model"], examples=...,
                                predictions=scorer.outputs["predictions"])
"""

from typing import Literal

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import Predictions
from components.endpoint_validator.executor import Executor


class EndpointValidatorSpec(component_spec.ComponentSpec):
    """Takes a model and its answers, gives an infrastructure blessing."""

    PARAMETERS = {
        "how": component_spec.ExecutionParameter(type=str),
        "split": component_spec.ExecutionParameter(type=str),
        "images": component_spec.ExecutionParameter(type=int),
        "code": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "predictions": component_spec.ChannelParameter(type=Predictions),
        "model_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


class EndpointValidator(base_component.BaseComponent):
    """Blesses what answers in a server as it did in the pipeline."""

    SPEC_CLASS = EndpointValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        predictions: types.BaseChannel,
        model_blessing: types.BaseChannel | None = None,
        how: Literal["endpoint", "savedmodel"] = "endpoint",
        split: str = "test",
        images: int = 8,
        code: str | None = None,
    ) -> None:
        """Builds the node.

        Args:
          model: the candidate.
          examples: raw records; the images that are sent come from here.
          predictions: output of Scorer on that split.
          model_blessing: output of Gate; a candidate that is refused there is not started.
          how: "endpoint" starts `pneumo serve`; "savedmodel" loads the model in a new process.
          split: which split.
          images: how many images are sent.
          code: digest of the code, so that an edit runs the node again.
        """
        super().__init__(
            EndpointValidatorSpec(
                model=model,
                examples=examples,
                predictions=predictions,
                model_blessing=model_blessing,
                how=how,
                split=split,
                images=images,
                code=code,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
