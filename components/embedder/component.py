"""The Embedder node.

TFX's Trainer would run the frozen trunk again for every epoch, seed, head and trial. This node runs
it once; ML Metadata's cache then hands the result to whatever needs it.

Usage:
  embedder = Embedder(
      examples=transform.outputs["transformed_examples"], trunk="Xception", image_size=299,
      weights=weights.to_dict(), cut="top", options=EmbeddingOptions().model_dump(mode="json"))
  trainer = Trainer(examples=embedder.outputs["embeddings"], ...)
"""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.embedder.executor import Executor


class EmbedderSpec(component_spec.ComponentSpec):
    """Takes transformed images, gives embeddings.

    The output has the type Examples, because TFX's Trainer and Tuner take no other; its payload is
    that of `components.embedder.store`, not TFRecords.
    """

    PARAMETERS = {
        "trunk": component_spec.ExecutionParameter(type=str),
        "image_size": component_spec.ExecutionParameter(type=int),
        "weights": component_spec.ExecutionParameter(type=str),
        "cut": component_spec.ExecutionParameter(type=str),
        "options": component_spec.ExecutionParameter(type=str),
        "fit": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"embeddings": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class Embedder(base_component.BaseComponent):
    """Runs the frozen part of a trunk over the splits train and val."""

    SPEC_CLASS = EmbedderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        trunk: str,
        image_size: int,
        weights: dict[str, str],
        cut: str,
        options: dict[str, Any],
        fit: str = "stretch",
    ) -> None:
        """Builds the node.

        Args:
          examples: output of Transform.
          trunk: a name of components.trainer.trunks.TRUNKS.
          image_size: side, pixels.
          weights: `Weights.to_dict()`.
          cut: "top", or a cut of the trunk.
          options: `EmbeddingOptions` as plain values.
          fit: how images were brought to the square, "stretch" or "pad"; their boxes follow.
        """
        super().__init__(
            EmbedderSpec(
                examples=examples,
                trunk=trunk,
                image_size=image_size,
                weights=json.dumps(weights, sort_keys=True),
                cut=cut,
                options=json.dumps(options, sort_keys=True),
                fit=fit,
                embeddings=types.Channel(type=standard_artifacts.Examples),
            )
        )
