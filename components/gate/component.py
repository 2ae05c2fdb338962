"""The Gate node.

TFX's Evaluator compares a model with its baseline by the difference alone, and knows no patients: a
drop by chance refuses a model. This node blesses instead, in the artifact that TFX's Pusher reads.

Usage:
  gate = Gate(model=..., predictions=..., evaluation=..., options=options.model_dump(mode="json"))
"""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.gate.executor import Executor
from components.scorer.component import Predictions


class GateSpec(component_spec.ComponentSpec):
    """Takes a model and its answers on test, gives a blessing."""

    PARAMETERS = {
        "options": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "predictions": component_spec.ChannelParameter(type=Predictions),
        "baseline_model": component_spec.ChannelParameter(
            type=standard_artifacts.Model, optional=True
        ),
        "evaluation": component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        "evaluator_blessing": component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing)}


class Gate(base_component.BaseComponent):
    """Blesses, or does not; see components.gate.decision for the rules."""

    SPEC_CLASS = GateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        predictions: types.BaseChannel,
        options: dict[str, Any],
        baseline_model: types.BaseChannel | None = None,
        evaluation: types.BaseChannel | None = None,
        evaluator_blessing: types.BaseChannel | None = None,
    ) -> None:
        """Builds the node.

        Args:
          model: the candidate.
          predictions: output of Scorer, which asked the blessed model too where there is one.
          options: `EvaluationOptions` as a dict.
          baseline_model: the blessed model to beat; its id goes into the blessing.
          evaluation: output of Evaluator; TFMA's view of the bounds is kept as a second opinion.
          evaluator_blessing: output of Evaluator; kept with it.
        """
        super().__init__(
            GateSpec(
                model=model,
                predictions=predictions,
                baseline_model=baseline_model,
                evaluation=evaluation,
                evaluator_blessing=evaluator_blessing,
                options=json.dumps(options, sort_keys=True),
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
