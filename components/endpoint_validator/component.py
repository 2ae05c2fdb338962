"""The EndpointValidator node.

TFX's InfraValidator checks that a container of TensorFlow Serving responds. This node also compares
the predictions over REST and gRPC with those of the Scorer. It writes TFX's InfraBlessing.

Usage:
  validator = EndpointValidator(model=trainer.outputs["model"], examples=...,
                                predictions=scorer.outputs["predictions"])
"""

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model, ModelBlessing
from tfx.utils import path_utils

from components.artifacts import Predictions
from components.endpoint_validator import servers
from components.endpoint_validator.verdict import ScorerPrediction, mismatch, spread_over_scores
from components.examples import split_files
from core.predictions import table
from core.reporting.records import read_images
from schema.errors import PneumoError
from schema.model_folder import INFRA_RESULT
from serving.server.engines import IMAGE

IMAGES = 8
_DAMAGED = b"\xff\xd8\xff\xe0 no image data follows this JPEG signature"
log = logging.getLogger("pneumo.endpoint")


@component
def EndpointValidator(
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    predictions: InputArtifact[Predictions],
    blessing: OutputArtifact[InfraBlessing],
    model_blessing: InputArtifact[ModelBlessing] = None,
    how: Parameter[str] = "auto",
    image: Parameter[str] = IMAGE,
    split: Parameter[str] = "test",
) -> None:
    """Blesses a model that predicts the same in a server as it did in the pipeline.

    Args:
      model: the candidate.
      examples: raw records; the images that are sent come from here.
      predictions: output of Scorer on that split.
      blessing: output, with `validation.json`.
      model_blessing: output of Gate; a candidate that is not blessed there is not started.
      how: see `servers.engines`.
      image: container image of TensorFlow Serving.
      split: of the records.

    Raises:
      PneumoError: no server could be started, or the predictions do not belong to the records.
    """
    if model_blessing and model_blessing.get_int_custom_property("blessed") != 1:
        result: dict[str, Any] = {"reasons": ["the candidate is not blessed by the Gate"]}
    else:
        expected, facts = load_expected(Path(predictions.uri))
        files = split_files(examples, split)
        found = dict(read_images(files, {row.sha256 for row in expected}))
        if len(found) != len(expected):
            raise PneumoError(f"{examples.uri} lacks images that were scored; score again")
        contents = [found[row.sha256] for row in expected]
        folder = Path(path_utils.serving_model_path(model.uri))
        result = validate(how, image, folder, expected, contents, facts)
    out, blessed = Path(blessing.uri), not result["reasons"]
    out.mkdir(parents=True, exist_ok=True)
    (out / INFRA_RESULT).write_text(json.dumps({"blessed": blessed, **result}, indent=1) + "\n")
    # The marker file and the property are those of TFX's InfraValidator.
    (out / ("INFRA_BLESSED" if blessed else "INFRA_NOT_BLESSED")).touch()
    blessing.set_int_custom_property("blessed", int(blessed))
    for line in result["reasons"]:
        log.warning("not blessed: %s", line)


def load_expected(scored: Path) -> tuple[list[ScorerPrediction], dict[str, Any]]:
    """Reads some of the Scorer's predictions, and the facts of the model that made them."""
    import pyarrow.parquet as pq

    file = scored / table.FILE
    columns = ["sha256", "filename", "score", "probabilities"]
    rows = (
        pq.read_table(file, columns=columns, partitioning=None).to_pylist()
        if file.is_file()
        else []
    )
    if not rows:
        raise PneumoError(f"{scored} holds no predictions; run the Scorer again")
    expected = [ScorerPrediction(**row) for row in rows]
    return spread_over_scores(expected, IMAGES), json.loads(file.with_suffix(".json").read_text())


def validate(
    how: str,
    image: str,
    model: Path,
    expected: Sequence[ScorerPrediction],
    contents: Sequence[bytes],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Compares predictions for a batch that includes a damaged image.

    Returns:
      `how` (the engine), `reasons` (empty: blessed), `images`, and `not_started` by engine.

    Raises:
      PneumoError: no server could be started, which is no evidence about the model.
    """
    sent, wanted = [contents[0], _DAMAGED, *contents[1:]], [expected[0], None, *expected[1:]]
    not_started: dict[str, str] = {}
    for engine in servers.engines(how, image):
        try:
            with tempfile.TemporaryDirectory(prefix="pneumo-endpoint-") as scratch:
                found = servers.predict(engine, image, model, sent, Path(scratch))
        except servers.ServerNotStartedError as error:
            log.warning("%s could not be started: %s", engine, error)
            not_started[engine] = str(error)
            continue
        except servers.ModelFailedError as error:
            reasons = [str(error)]
        else:
            differences = {key: mismatch(wanted, got, facts) for key, got in found.items()}
            reasons = [f"{key}: {text}" for key, text in differences.items() if text]
        images = [row.filename for row in expected]
        return {"how": engine, "reasons": reasons, "images": images, "not_started": not_started}
    why = "; ".join(f"{engine}: {text}" for engine, text in not_started.items())
    raise PneumoError(
        f"infrastructure validation: no server could be started ({why}); repair it, or set "
        "serving.infra_validation to savedmodel or none"
    )
