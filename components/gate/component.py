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
    """Blesses a model, or does not; components.gate.decision has the rules.

    TFX's Evaluator compares a model with its baseline by the difference alone, without patients or
    chance. This node decides instead, in the artifact that TFX's Pusher reads.

    Args:
      model: the candidate.
      predictions: output of Scorer, of the blessed model too where there is one.
      blessing: the marker file that Pusher looks for, and `decision.json`.
      options: `EvaluationOptions` in JSON.
      baseline_model: the blessed model to beat; its id goes into the blessing.
      evaluation: output of Evaluator; TFMA's view of the bounds is kept as a second opinion.
      evaluator_blessing: output of Evaluator; kept with it.

    Raises:
      PneumoError: there are no predictions on test, or those of the two models do not match.
    """
    folder = Path(predictions.uri)
    candidate = read_scorer_output(folder)
    if candidate is None or not len(candidate):
        raise PneumoError(f"{folder} has no predictions on test; run the Scorer again")
    rules = EvaluationOptions.from_json(options)
    decision = decide_blessing(candidate, read_scorer_output(folder, table.BASELINE), rules)
    facts = decision.to_dict()
    facts["tfma"] = second_opinion(evaluation, evaluator_blessing)
    facts["notes"] += disagreements(facts)

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
    (out / DECISION).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    blessed, refused = constants.BLESSED_FILE_NAME, constants.NOT_BLESSED_FILE_NAME
    (out / (blessed if decision.blessed else refused)).touch()
    for line in decision.failures:
        log.warning("not blessed: %s", line)


def second_opinion(evaluation: Any, blessing: Any) -> dict[str, Any] | None:
    """Returns TFMA's view of the same bounds, `blessed` and `rules`; None without an Evaluator."""
    if evaluation is None:
        return None
    from core.predictions.tfma_results import tfma_rules

    rules, blessed = tfma_rules(evaluation.uri), None
    if rules and blessing is not None:
        blessed = blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == 1
    return {"blessed": blessed, "rules": rules}


def disagreements(facts: dict[str, Any]) -> list[str]:
    """Returns a line for each bound on which TFMA, which sums over a grid of thresholds, differs.

    Args:
      facts: a decision as a dict, with `tfma`.
    """
    ours = {rule["metric"]: rule for rule in facts["rules"]}
    return [
        f"{rule['metric']}: TFMA finds {rule['value']} and that the bound is "
        f"{'kept' if rule['ok'] else 'not kept'}; the exact number decides"
        for rule in (facts["tfma"] or {}).get("rules", [])
        if rule["metric"] in ours and rule["ok"] != ours[rule["metric"]]["ok"]
    ]
