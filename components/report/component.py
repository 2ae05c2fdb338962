"""The Report node.

TFX leaves its results in many places and formats. A head of department reads one page; this node
writes it, and the same numbers as JSON, whether the model was blessed or not.

Usage:
  report = Report(examples=..., model_run=..., predictions=..., evaluation=..., blessing=...,
                  pushed_model=..., config=config.to_yaml(), records=folder, records_sha256=...)
"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.artifacts import Predictions, ReportPage
from components.report.executor import Executor


class ReportSpec(component_spec.ComponentSpec):
    """Takes everything that a run found out, gives a page."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "records": component_spec.ExecutionParameter(type=str),
        "records_sha256": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "predictions": component_spec.ChannelParameter(type=Predictions),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "infra_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.InfraBlessing, optional=True
        ),
    }
    OUTPUTS = {"report": component_spec.ChannelParameter(type=ReportPage)}


class Report(base_component.BaseComponent):
    """Writes the page."""

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model_run: types.BaseChannel,
        predictions: types.BaseChannel,
        evaluation: types.BaseChannel,
        blessing: types.BaseChannel,
        pushed_model: types.BaseChannel,
        config: str,
        records: str,
        records_sha256: str,
        model: types.BaseChannel | None = None,
        infra_blessing: types.BaseChannel | None = None,
        code: str | None = None,
    ) -> None:
        """Builds the node.

        Args:
          examples: raw records; the images on the page come from here.
          model_run: what the Trainer recorded.
          predictions: output of Scorer.
          evaluation: output of Evaluator.
          blessing: output of Gate.
          pushed_model: output of Pusher.
          config: the configuration as YAML.
          records: folder or URI that ingest wrote.
          records_sha256: digest of its content, so that other data make another page.
          model: output of Trainer, asked for heat maps; without it the page has none.
          infra_blessing: output of EndpointValidator or InfraValidator, where there is one.
          code: digest of the code, so that an edit runs the node again.
        """
        super().__init__(
            ReportSpec(
                examples=examples,
                model_run=model_run,
                predictions=predictions,
                evaluation=evaluation,
                blessing=blessing,
                pushed_model=pushed_model,
                model=model,
                infra_blessing=infra_blessing,
                config=config,
                records=records,
                records_sha256=records_sha256,
                code=code,
                report=types.Channel(type=ReportPage),
            )
        )
