"""The Report node: one page about a run, and the same numbers as JSON.

It runs whether the model was blessed or not.

Usage:
  report = Report(examples=..., model_run=..., predictions=..., evaluation=..., blessing=...,
                  pushed_model=..., config=config.to_yaml(), records=folder, records_sha256=...)
"""

from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.artifacts import CorruptionResults, Predictions, ReportPage
from components.examples import split_files
from core.predictions.stress_test import FILE
from core.reporting.report.collect import collect
from core.reporting.report.page import write_report
from schema.files import read_json
from schema.model_folder import INFRA_RESULT


@component
def Report(
    examples: InputArtifact[standard_artifacts.Examples],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    predictions: InputArtifact[Predictions],
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    blessing: InputArtifact[standard_artifacts.ModelBlessing],
    pushed_model: InputArtifact[standard_artifacts.PushedModel],
    report: OutputArtifact[ReportPage],
    config: Parameter[str],
    records: Parameter[str],
    records_sha256: Parameter[str],
    model: InputArtifact[standard_artifacts.Model] = None,
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing] = None,
    stress_test: InputArtifact[CorruptionResults] = None,
) -> None:
    """Writes `report.html` and `report.json`.

    `config` is YAML, `records` the folder or URI that ingest wrote; `records_sha256`, the digest of
    `dataset.json`, belongs to the cache key only. Without `model` the page has no heat maps.
    `infra_blessing` is the output of EndpointValidator or InfraValidator, `stress_test` that of
    StressTest.

    Raises:
      PneumoError: there are no predictions on the test split.
    """
    del records_sha256
    pushed = pushed_model.get_int_custom_property("pushed") == 1
    data = collect(
        train=split_files(examples, "train"),
        test=split_files(examples, "test"),
        model_run=Path(model_run.uri),
        predictions=Path(predictions.uri),
        evaluation=Path(evaluation.uri),
        blessing=Path(blessing.uri),
        records=records,
        config=config,
        model=Path(path_utils.serving_model_path(model.uri)) if model else None,
        pushed=pushed_model.get_string_custom_property("pushed_destination") if pushed else "",
        infra=_infra_verdict(infra_blessing),
        stress_test=read_json(Path(stress_test.uri) / FILE) if stress_test else None,
    )
    write_report(data, Path(report.uri))


def _infra_verdict(blessing: types.Artifact | None) -> dict[str, Any] | None:
    if blessing is None:
        return None
    verdict = read_json(Path(blessing.uri) / INFRA_RESULT) or {}
    return {
        "blessed": blessing.get_int_custom_property("blessed") == 1,
        "reasons": verdict.get("reasons", []),
        "how": verdict.get("how", ""),
    }
