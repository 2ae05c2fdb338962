"""The Gate node."""

import json
import logging
from pathlib import Path
from typing import Any

from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Model, ModelBlessing, ModelEvaluation

from components.artifacts import Predictions
from components.gate.decision import decide_blessing
from components.model_to_beat import has_model
from core.metrics.options import EvaluationOptions
from core.predictions import table
from core.predictions.predictions import read_scorer_output
from schema.errors import PneumoError

log = logging.getLogger("pneumo.gate")

DECISION = "decision.json"
GATE = "gate"  # custom property that marks the blessings of this node


@component
def Gate(
    model: InputArtifact[Model],
    predictions: InputArtifact[Predictions],
    blessing: OutputArtifact[ModelBlessing],
    options: Parameter[str],
    baseline_model: InputArtifact[Model] = None,
    evaluation: InputArtifact[ModelEvaluation] = None,
    evaluator_blessing: InputArtifact[ModelBlessing] = None,
) -> None:
    """Blesses a model by the rules of components.gate.decision.

    TFX's Evaluator compares a model with its baseline without a statistical test. This node
    replaces that decision and writes the artifact that TFX's Pusher reads.

    Usage:
      gate = Gate(model=trainer.outputs["model"], predictions=scorer.outputs["predictions"],
                  options=json.dumps(options))

    Args:
      model: the candidate.
      predictions: output of Scorer, for the candidate and the blessed model if there is one.
      blessing: output; the marker file for Pusher, and `decision.json`.
      options: `EvaluationOptions` as JSON.
      baseline_model: latest blessed model; its id is stored in the blessing.
      evaluation: output of Evaluator; its result for the same bounds is stored as a second opinion.
      evaluator_blessing: output of Evaluator.

    Raises:
      PneumoError: predictions on the test split are missing, or those of the two models differ in
        task or images.
    """
    folder = Path(predictions.uri)
    candidate = read_scorer_output(folder)
    if candidate is None or not len(candidate):
        raise PneumoError(f"{folder} has no predictions for the test split; run the Scorer again")
    evaluation_options = EvaluationOptions.from_json(options)
    decision = decide_blessing(
        candidate, read_scorer_output(folder, table.BASELINE), evaluation_options
    )
    result = decision.to_dict()
    result["tfma"] = second_opinion(evaluation, evaluator_blessing)
    result["notes"] += disagreements(result)

    models = [("current_model", model)]
    if has_model(baseline_model):
        models.append(("baseline_model", baseline_model))
    for key, artifact in models:
        blessing.set_string_custom_property(key, artifact.uri)
        blessing.set_int_custom_property(f"{key}_id", artifact.id)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(decision.blessed))
    blessing.set_int_custom_property(GATE, 1)
    out = Path(blessing.uri)
    out.mkdir(parents=True, exist_ok=True)
    (out / DECISION).write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    blessed, not_blessed = constants.BLESSED_FILE_NAME, constants.NOT_BLESSED_FILE_NAME
    (out / (blessed if decision.blessed else not_blessed)).touch()
    for line in decision.failures:
        log.warning("not blessed: %s", line)


def second_opinion(evaluation: Any, blessing: Any) -> dict[str, Any] | None:
    """Returns TFMA's result for the same bounds, `blessed` and `rules`; None without Evaluator."""
    if evaluation is None:
        return None
    from core.predictions.tfma_results import tfma_rules

    rules, blessed = tfma_rules(evaluation.uri), None
    if rules and blessing is not None:
        blessed = blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == 1
    return {"blessed": blessed, "rules": rules}


def disagreements(result: dict[str, Any]) -> list[str]:
    """Returns a line for each bound on which TFMA disagrees with the Gate.

    TFMA approximates metrics on a grid of thresholds.

    Args:
      result: a decision as a dict, with `tfma`.
    """
    exact = {rule["metric"]: rule for rule in result["rules"]}
    return [
        f"{rule['metric']}: TFMA computes {rule['value']} and the bound "
        f"{'holds' if rule['ok'] else 'does not hold'}; the Gate uses the exact value instead"
        for rule in (result["tfma"] or {}).get("rules", [])
        if rule["metric"] in exact and rule["ok"] != exact[rule["metric"]]["ok"]
    ]
