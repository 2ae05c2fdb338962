"""Reads the answers, applies the rules, and writes the blessing as TFX's Evaluator would."""

import json
import logging
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.baseline.marker import has_model
from components.evaluation import table
from components.evaluation.answers import read_scored
from components.evaluation.options import EvaluationOptions
from components.gate.decision import decide
from schema.errors import PneumoError

log = logging.getLogger("pneumo.gate")

DECISION = "decision.json"
GATE = "gate"  # custom property of a blessing that this node gave


class Executor(base_executor.BaseExecutor):
    """Writes `decision.json` and the marker file that Pusher looks for."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Decides.

        Raises:
          PneumoError: there are no answers on test, or the two models' answers do not belong
            together.
        """
        options = EvaluationOptions(**json.loads(exec_properties["options"]))
        folder = Path(artifact_utils.get_single_uri(input_dict["predictions"]))
        candidate = read_scored(folder)
        if candidate is None or not len(candidate):
            raise PneumoError(f"{folder} holds no answers on test; run the Scorer again")
        decision = decide(candidate, read_scored(folder, table.BASELINE), options)
        told = decision.to_dict()
        told["tfma"] = second_opinion(input_dict)
        told["notes"] += disagreements(told)

        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
        )
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
        if has_model(input_dict.get("baseline_model")):
            baseline = artifact_utils.get_single_instance(input_dict["baseline_model"])
            blessing.set_string_custom_property(
                constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri
            )
            blessing.set_int_custom_property(
                constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id
            )
        value = constants.BLESSED_VALUE if decision.blessed else constants.NOT_BLESSED_VALUE
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
        blessing.set_int_custom_property(GATE, 1)
        out = Path(blessing.uri)
        out.mkdir(parents=True, exist_ok=True)
        (out / DECISION).write_text(json.dumps(told, indent=1, allow_nan=False) + "\n")
        marker = (
            constants.BLESSED_FILE_NAME if decision.blessed else constants.NOT_BLESSED_FILE_NAME
        )
        (out / marker).write_text("")
        for line in decision.failures:
            log.warning("not blessed: %s", line)


def second_opinion(input_dict: dict[str, list[types.Artifact]]) -> dict[str, Any] | None:
    """What TFMA says of the same bounds: `blessed` and `rules`; None without an Evaluator."""
    if not input_dict.get("evaluation"):
        return None
    from components.evaluation.tfma_results import tfma_rules

    rules = tfma_rules(artifact_utils.get_single_uri(input_dict["evaluation"]))
    blessed = None
    if rules and input_dict.get("evaluator_blessing"):
        given = artifact_utils.get_single_instance(input_dict["evaluator_blessing"])
        blessed = given.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == 1
    return {"blessed": blessed, "rules": rules}


def disagreements(told: dict[str, Any]) -> list[str]:
    """A line for each bound that TFMA, which sums areas over a grid of thresholds, sees otherwise.

    Args:
      told: a decision as a dict, with `tfma`.
    """
    ours = {rule["metric"]: rule for rule in told["rules"]}
    return [
        f"{rule['metric']}: TFMA finds {rule['value']} and that the bound is "
        f"{'kept' if rule['ok'] else 'not kept'}; the exact number decides"
        for rule in (told["tfma"] or {}).get("rules", [])
        if rule["metric"] in ours and rule["ok"] != ours[rule["metric"]]["ok"]
    ]
