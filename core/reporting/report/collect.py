"""Reads the input of the report from the outputs of a run."""

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.predictions.predictions import SplitPredictions, read_predictions, read_scorer_output
from core.predictions.table import SHIFTED
from core.predictions.tfma_results import tfma_metrics
from core.reporting.records import content, read_fields, read_images, text
from core.reporting.report.boxes import box_cases
from core.reporting.report.data import ReportData, SampleImage
from core.reporting.report.example_images import correct, mistakes
from core.reporting.report.heat_maps import HeatMaps, needs_localization, run_explainer
from core.reporting.report.shortcut_baselines import shortcut_check
from schema import features as f
from schema.errors import PneumoError
from schema.files import read_json
from schema.labels import PATHOGENS, Task
from schema.model_folder import load_saved_model, read_model_info
from schema.storage import fetch_files

_PACKAGES = [
    "pneumo-tfx",
    "tfx",
    "tensorflow",
    "keras",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "ml-metadata",
    "apache-beam",
    "numpy",
]
_SAMPLES = 5  # images of each pathogen
_MAX_SEARCHED = 2000  # records; limits the search for a pathogen that the split lacks


def collect(
    *,
    train: Sequence[str],
    test: Sequence[str],
    model_run: Path,
    predictions: Path,
    evaluation: Path,
    blessing: Path,
    records: str,
    config: str,
    model: Path | None = None,
    pushed: str = "",
    infra: dict[str, Any] | None = None,
    stress_test: dict[str, Any] | None = None,
) -> ReportData:
    """Reads everything that the report shows.

    Args:
      train: gzip TFRecords of the training split.
      test: gzip TFRecords of the test split.
      model_run: output folder of the Trainer.
      predictions: output folder of the Scorer.
      evaluation: output folder of the Evaluator.
      blessing: output folder of the Gate.
      records: folder or URI that ingest wrote.
      config: configuration of the run, YAML.
      model: SavedModel, for heat maps; None: the report has no heat maps.
      pushed: folder of the pushed version; empty if the model was not pushed.
      infra: see `ReportData`.
      stress_test: see `ReportData`.

    Raises:
      PneumoError: there are no predictions on the test split, or the store is unreachable.
    """
    test_predictions = read_scorer_output(predictions)
    if test_predictions is None:
        raise PneumoError(f"no predictions in {predictions}: run the Scorer again")
    val, shifted = model_run / "val_predictions.parquet", model_run / SHIFTED
    model_info = read_json(predictions / "predictions.json") or {}
    dataset, leakage = read_dataset(records, test_predictions.task)
    shown = [
        *mistakes(test_predictions).values(),
        *(box_cases(test_predictions).values() if test_predictions.predicts_boxes else ()),
    ]
    summary = model_run / "model_summary.txt"
    options = yaml.safe_load(config)
    return ReportData(
        name=options["name"],
        resamples=options["evaluation"]["resamples"],
        seed=options["evaluation"]["seed"],
        dataset=dataset,
        leakage=leakage,
        samples=samples(train),
        training=read_json(model_run / "training.json"),
        histories=histories(model_run / "history"),
        model_summary=summary.read_text() if summary.is_file() else None,
        predictions=test_predictions,
        val=read_predictions(val, model_info) if val.is_file() else None,
        shifted=read_json(model_run / "shifted_validation.json"),
        held_out=read_predictions(shifted, model_info, True) if shifted.is_file() else None,
        images=dict(read_images(test, {row["sha256"] for rows in shown for row in rows})),
        boxes=model_info.get("boxes") if test_predictions.predicts_boxes else None,
        heat_maps=read_heat_maps(model, test_predictions, test),
        tfma=tfma_metrics(str(evaluation)),
        blessing=read_json(blessing / "decision.json"),
        infra=infra,
        stress_test=stress_test,
        pushed=pushed,
        config=config,
        versions=versions(),
    )


def read_dataset(records: str, task: Task) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Returns `dataset.json` with the shortcut check, and `leakage.json`; None if missing."""
    with fetch_files(records, ("dataset.json", "leakage.json", "manifest.jsonl")) as folder:
        dataset = read_json(folder / "dataset.json")
        if dataset is not None:
            dataset["shortcuts"] = shortcut_check(folder / "manifest.jsonl", task)
        return dataset, read_json(folder / "leakage.json")


def read_heat_maps(
    model: Path | None, test: SplitPredictions, files: Sequence[str]
) -> HeatMaps | None:
    """Runs the model's `explain` signature on the shown images and on those to measure."""
    if model is None:
        return None
    loaded = load_saved_model(model)
    if "explain" not in loaded.signatures:
        return None
    model_info = read_model_info(model)
    rows = [*mistakes(test).values(), *correct(test).values()]
    shown = {row["sha256"] for kind in rows for row in kind}
    measured = set() if test.predicts_boxes else set(test.sha256[needs_localization(test)].tolist())
    localizations = run_explainer(loaded.signatures["explain"], files, shown, measured)
    return HeatMaps(model_info.get("boxes") or {}, localizations)


def histories(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns seed -> training curves; empty if there is no such folder."""
    files = sorted(folder.glob("*.json"), key=lambda file: (len(file.stem), file.stem))
    return {file.stem: json.loads(file.read_text()) for file in files}


def versions() -> dict[str, str]:
    """Returns the versions of the packages that the numbers depend on."""
    installed = {}
    for name in _PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed[name] = "not installed"
    return installed


def samples(files: Sequence[str]) -> list[SampleImage]:
    """Returns the first images of each pathogen; records are in random order."""
    selected: dict[str, list[SampleImage]] = {pathogen: [] for pathogen in PATHOGENS}
    for _, fields in zip(range(_MAX_SEARCHED), read_fields(files), strict=False):
        pathogen = text(fields, f.PATHOGEN)
        if len(selected[pathogen]) < _SAMPLES:
            selected[pathogen].append(
                SampleImage(text(fields, f.IMAGE_FILENAME), pathogen, content(fields))
            )
        if all(len(selected[name]) == _SAMPLES for name in PATHOGENS[:3]):
            break
    return [sample for rows in selected.values() for sample in rows]
