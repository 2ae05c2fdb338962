"""The BatchResults node.

TFX's BulkInferrer writes PredictionLogs: each answer beside the bytes of its image, without a
decision. This node makes the table that people work with, a row for each record, and stops the run
where a record has no row.

Usage:
  results = BatchResults(examples=batch.outputs["examples"], model=trainer.outputs["model"],
                         inference_result=bulk_inferrer.outputs["inference_result"])
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.batch_results.executor import Executor


class BatchPredictions(types.Artifact):
    """`results.parquet`, columns in components.batch_results.results, and `results.json`."""

    TYPE_NAME = "components.BatchPredictions"


class BatchResultsSpec(component_spec.ComponentSpec):
    """Takes records, a model and its raw answers, gives a table."""

    PARAMETERS: dict = {}
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "inference_result": component_spec.ChannelParameter(
            type=standard_artifacts.InferenceResult
        ),
    }
    OUTPUTS = {"results": component_spec.ChannelParameter(type=BatchPredictions)}


class BatchResults(base_component.BaseComponent):
    """Writes the table."""

    SPEC_CLASS = BatchResultsSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        inference_result: types.BaseChannel,
    ) -> None:
        """Builds the node.

        Args:
          examples: the records that BulkInferrer was given.
          model: the model that it asked; names of classes, threshold and band come from it.
          model_blessing: output of Gate; BulkInferrer asks no model that is not blessed.
          inference_result: output of BulkInferrer.
        """
        super().__init__(
            BatchResultsSpec(
                examples=examples,
                model=model,
                model_blessing=model_blessing,
                inference_result=inference_result,
                results=types.Channel(type=BatchPredictions),
            )
        )
