"""Asks a server about images of the test split and writes TFX's InfraBlessing."""

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.infra_validator import executor as infra
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.endpoint_validator import server
from components.endpoint_validator.verdict import (
    VERDICT,
    Check,
    Expected,
    NoAnswer,
    Verdict,
    question,
    spread_over_scores,
)
from components.evaluation import table
from components.report.gather import images_of
from schema.errors import PneumoError

log = logging.getLogger("pneumo.endpoint")


class Executor(base_executor.BaseExecutor):
    """Writes `validation.json` and the marker file of TFX's InfraValidator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Validates.

        Raises:
          PneumoError: there are no answers to compare with, or their images are gone.
        """
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        how = exec_properties["how"]
        if refused(input_dict):
            verdict = Verdict(how, [Check("Gate", False, "the candidate did not pass it")], [])
        else:
            scored = Path(artifact_utils.get_single_uri(input_dict["predictions"]))
            examples = artifact_utils.get_single_instance(input_dict["examples"])
            split = Path(artifact_utils.get_split_uri([examples], exec_properties["split"]))
            model = artifact_utils.get_single_uri(input_dict["model"])
            verdict = validate(
                how,
                Path(path_utils.serving_model_path(model)),
                scored,
                sorted(str(path) for path in split.glob("*.gz")),
                int(exec_properties["images"]),
            )
        out = Path(blessing.uri)
        out.mkdir(parents=True, exist_ok=True)
        (out / VERDICT).write_text(json.dumps(verdict.to_dict(), indent=1) + "\n")
        # The marker and the property that Pusher asks for are TFX's own.
        (infra._mark_blessed if verdict.blessed else infra._mark_not_blessed)(blessing)
        for line in verdict.reasons:
            log.warning("not blessed: %s", line)


def refused(input_dict: dict[str, list[types.Artifact]]) -> bool:
    """Whether the Gate is there and said no."""
    if not input_dict.get("model_blessing"):
        return False
    given = artifact_utils.get_single_instance(input_dict["model_blessing"])
    return given.get_int_custom_property("blessed") != 1


def expected_of(scored: Path, images: int) -> tuple[list[Expected], dict[str, Any]]:
    """The Scorer's answers to so many images, and the facts of the model that gave them.

    Raises:
      PneumoError: there are none.
    """
    import pyarrow.parquet as pq

    file = scored / table.FILE
    columns = ["sha256", "filename", "score", "probabilities"]
    if not file.is_file():
        raise PneumoError(f"{scored} holds no predictions; run the Scorer again")
    rows = [
        Expected(row["sha256"], row["filename"], row["score"], tuple(row["probabilities"]))
        for row in pq.read_table(file, columns=columns).to_pylist()
    ]
    if not rows:
        raise PneumoError(f"{file} holds no rows; run the Scorer again")
    return spread_over_scores(rows, images), json.loads(file.with_suffix(".json").read_text())


def validate(how: str, model: Path, scored: Path, records: list[str], images: int) -> Verdict:
    """Asks the candidate.

    Args:
      how: "endpoint" or "savedmodel".
      model: folder of the SavedModel.
      scored: folder of the Scorer's predictions.
      records: gzip TFRecords that hold their images.
      images: how many to send.

    Raises:
      PneumoError: there is nothing to compare with.
    """
    expected, facts = expected_of(scored, images)
    found = images_of(records, {row.sha256 for row in expected})
    gone = [row.filename for row in expected if row.sha256 not in found]
    if gone:
        raise PneumoError(f"the records do not hold {gone[0]}, which was scored; score again")
    sent = [found[row.sha256] for row in expected]
    checks: list[Check] = []
    seconds: dict[str, float] = {}
    started = time.monotonic()

    def lap(phase: str) -> None:
        seconds[phase] = round(time.monotonic() - started - sum(seconds.values()), 3)

    with tempfile.TemporaryDirectory(prefix="pneumo-endpoint-") as scratch:
        if how == "savedmodel":
            with server.fresh(model, Path(scratch)) as loaded:
                checks += question("SavedModel", loaded.ask, expected, sent, facts)
                lap("load and ask")
        else:
            try:
                with server.serving(model, Path(scratch)) as endpoint:
                    lap("start")
                    checks.append(available(endpoint))
                    checks += question("REST", endpoint.ask_rest, expected, sent, facts)
                    checks += question("gRPC", endpoint.ask_grpc, expected, sent, facts)
                    lap("ask")
            except NoAnswer as error:
                checks.append(Check("start", False, str(error)))
        lap("stop")
    return Verdict(how, checks, [row.filename for row in expected], seconds=seconds)


def available(endpoint: server.Endpoint) -> Check:
    """Whether status and metadata are TF Serving's."""
    path = f"/v1/models/{server.NAME}"
    try:
        versions = endpoint.get(path).get("model_version_status", [])
        states = {str(one.get("version")): one.get("state") for one in versions}
        if states.get(server.VERSION) != "AVAILABLE":
            return Check("status", False, f"the states of its versions are {states}")
        signatures = endpoint.get(f"{path}/metadata")["metadata"]["signature_def"]["signature_def"]
        named = "serving_default" in signatures
        return Check("status", named, f"signatures {', '.join(sorted(signatures))}")
    except (NoAnswer, KeyError, TypeError, AttributeError) as error:
        return Check("status", False, f"{type(error).__name__}: {error}")
