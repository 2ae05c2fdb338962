"""The BatchResults node."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, InferenceResult, Model, ModelBlessing
from tfx.utils import path_utils

from components.artifacts import BatchPredictions
from components.batch_results.results import (
    FILE,
    read_ids,
    read_prediction_logs,
    reconcile,
    result_row,
    write,
)
from components.examples import split_files
from core.progress import ProgressReporter
from schema.labels import Task
from schema.model_folder import MODEL_INFO


@component
def BatchResults(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    inference_result: InputArtifact[InferenceResult],
    results: OutputArtifact[BatchPredictions],
) -> None:
    """Writes a table with one row for each unlabeled record.

    TFX's BulkInferrer writes PredictionLogs, which contain raw outputs and the image bytes, but no
    decision.

    Usage:
      results = BatchResults(examples=..., model=..., model_blessing=gate.outputs["blessing"],
                             inference_result=bulk_inferrer.outputs["inference_result"])

    Args:
      examples: the records that BulkInferrer read.
      model: provides class names, threshold and referral band.
      model_blessing: output of Gate; BulkInferrer runs blessed models only.
      inference_result: output of BulkInferrer.
      results: output; `results.json`, and for a blessed model `results.parquet`.

    Raises:
      PneumoError: a record has no row, or more than one.
    """
    out = Path(results.uri)
    out.mkdir(parents=True, exist_ok=True)
    if model_blessing.get_int_custom_property("blessed") == 1:
        about = _write_table(examples, model, Path(inference_result.uri), out / FILE)
    else:
        about = {"rows": 0, "reason": "the model is not blessed"}
    results.set_int_custom_property("rows", about["rows"])
    (out / FILE).with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


def _write_table(examples: Any, model: Any, inferred: Path, file: Path) -> dict[str, Any]:
    facts = json.loads((Path(path_utils.serving_model_path(model.uri)) / MODEL_INFO).read_text())
    task = Task.from_dict(facts["task"])
    ids = read_ids(
        [
            path
            for split in artifact_utils.decode_split_names(examples.split_names)
            for path in split_files(examples, split)
        ]
    )
    step, decisions = ProgressReporter(), Counter[str]()

    def rows() -> Iterator[dict[str, Any]]:
        logs = read_prediction_logs(sorted(str(path) for path in inferred.glob("*.gz")))
        for done, log in enumerate(logs, 1):
            row = result_row(log, facts, task)
            decisions[row["decision"]] += 1
            step("table", done, ids.total())
            yield row

    written = write(file, rows(), task.classes)
    return {
        "rows": reconcile(ids, written),
        "decisions": decisions,
        "classes": list(task.classes),
        **{key: facts.get(key) for key in ("name", "threshold", "band", "notice")},
    }
