"""The Scorer node.

TFMA's Evaluator keeps totals, not answers. Patient-clustered intervals, paired comparisons and the
report need the answer to each image, so this node asks the exported model once and keeps it.

Usage:
  scorer = Scorer(examples=example_gen.outputs["examples"], model=trainer.outputs["model"])
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.scorer.executor import Executor


class Predictions(types.Artifact):
    """`predictions.parquet`: a row for each image; columns in components.evaluation.table.

    `baseline.parquet`: the same of the blessed model to beat, where there is one.
    """

    TYPE_NAME = "components.Predictions"


class ScorerSpec(component_spec.ComponentSpec):
    """Takes records and a model, gives predictions."""

    PARAMETERS = {
        "split": component_spec.ExecutionParameter(type=str),
        "batch_size": component_spec.ExecutionParameter(type=int),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(
            type=standard_artifacts.Model, optional=True
        ),
    }
    OUTPUTS = {"predictions": component_spec.ChannelParameter(type=Predictions)}


class Scorer(base_component.BaseComponent):
    """Runs the `examples` signature over one split."""

    SPEC_CLASS = ScorerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        baseline_model: types.BaseChannel | None = None,
        split: str = "test",
        batch_size: int = 32,
    ) -> None:
        """Builds the node.

        Args:
          examples: raw records.
          model: SavedModel of the Trainer.
          baseline_model: the blessed model to beat, where there is one.
          split: which split.
          batch_size: images in one call of the model.
        """
        super().__init__(
            ScorerSpec(
                examples=examples,
                model=model,
                baseline_model=baseline_model,
                split=split,
                batch_size=batch_size,
                predictions=types.Channel(type=Predictions),
            )
        )
