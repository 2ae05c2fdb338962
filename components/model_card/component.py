"""The ModelCard node: data, exclusions, weights, protocol, results and limitations of a model.

What no file of the run and no entry of the configuration contains is written as unknown.

Usage:
  card = ModelCard(model=..., model_run=..., predictions=..., report=..., blessing=...,
                   config=config.to_yaml(), records=folder, task=task.to_dict())
"""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import CardPage, Predictions, ReportPage
from components.model_card.executor import Executor


class ModelCardSpec(component_spec.ComponentSpec):
    """Interface of the node."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "records": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "predictions": component_spec.ChannelParameter(type=Predictions),
        "report": component_spec.ChannelParameter(type=ReportPage),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"card": component_spec.ChannelParameter(type=CardPage)}


class ModelCard(base_component.BaseComponent):
    """Writes the card, whether the model was blessed or not.

    A class and not a function, because the card names its own execution in ML Metadata.
    """

    SPEC_CLASS = ModelCardSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_run: types.BaseChannel,
        predictions: types.BaseChannel,
        report: types.BaseChannel,
        blessing: types.BaseChannel,
        config: str,
        records: str,
        task: dict[str, Any],
    ) -> None:
        """Builds the node.

        `predictions` are part of the lineage; `config` is YAML; `records` is the folder or URI that
        ingest wrote, whose digest reaches the cache key through `report`; `task` is
        `Task.to_dict()`.
        """
        super().__init__(
            ModelCardSpec(
                model=model,
                model_run=model_run,
                predictions=predictions,
                report=report,
                blessing=blessing,
                config=config,
                records=records,
                task=json.dumps(task, sort_keys=True),
                card=types.Channel(type=CardPage),
            )
        )
