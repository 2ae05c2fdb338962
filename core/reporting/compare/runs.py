"""Reads the finished runs of a shared work folder.

Each configuration has `compare/NAME/run.json`, a copy of the file of `pneumo run`, and
`compare/NAME/process.json`, the measurements of its process.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.predictions.predictions import SplitPredictions, read_predictions, read_scorer_output
from core.predictions.stress_test import FILE
from core.reporting.compare.shifted import ShiftedPredictions, read_shifted
from core.reporting.run_outputs import output, read_json_object, read_run
from schema.errors import PneumoError

RUN, PROCESS = "run.json", "process.json"


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A configuration that has finished.

    Attributes:
      name: of the configuration.
      run: `run.json`.
      process: `process.json`; empty if the run was not started by a comparison.
      training: `training.json` of the Trainer.
      val: predictions on validation.
      stress_test: `corruptions.json` of StressTest; empty if it did not run.
      shifted: shifted validation; None if it is not configured or has no fold.
    """

    name: str
    run: dict[str, Any]
    process: dict[str, Any]
    training: dict[str, Any]
    val: SplitPredictions
    stress_test: dict[str, Any] = field(default_factory=dict)
    shifted: ShiftedPredictions | None = None

    @property
    def records(self) -> Path:
        """Folder of the records."""
        return Path(self.run["records"])


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun(FinishedRun):
    """A configuration that was evaluated on the test split, not with `--validation-only`.

    Attributes:
      test: predictions on test.
    """

    test: SplitPredictions


def evaluated(runs: Iterable[FinishedRun]) -> list[EvaluatedRun]:
    """Returns the runs that were evaluated on the test split."""
    return [run for run in runs if isinstance(run, EvaluatedRun)]


def configuration_folder(work: Path, name: str) -> Path:
    """Returns the folder with the files of a configuration."""
    return work / "compare" / name


def read_runs(
    work: Path, names: Sequence[str] = ()
) -> tuple[list[FinishedRun], list[dict[str, str]]]:
    """Reads the configurations of a work folder; all of them without `names`.

    Returns:
      the finished configurations, and `name` and `error` of each other one.

    Raises:
      PneumoError: no configuration has finished, or the test images differ.
    """
    known = {file.parent.name for name in (RUN, PROCESS) for file in work.glob(f"compare/*/{name}")}
    finished: list[FinishedRun] = []
    failed: list[dict[str, str]] = []
    for name in names or sorted(known):
        process = read_json_object(configuration_folder(work, name) / PROCESS)
        run = read_run(configuration_folder(work, name) / RUN, work)
        if run:
            finished.append(_read_run(name, run, process))
        else:
            error = process.get("error") or "it was not run in this work folder"
            # Without the path of the log.
            failed.append({"name": name, "error": re.sub(r"\s+log: \S+$", "", error)})
    if not finished:
        reason = f": {failed[0]['name']}: {failed[0]['error']}" if failed else ""
        raise PneumoError(f"nothing to compare: no configuration has finished in {work}{reason}")
    _check_images("validation", {run.name: run.val for run in finished})
    _check_images("test", {run.name: run.test for run in evaluated(finished)})
    return finished, failed


def _check_images(split: str, predictions: Mapping[str, SplitPredictions]) -> None:
    """Raises PneumoError if the images of two configurations differ."""
    for name, other in predictions.items():
        first = next(iter(predictions))
        if not np.array_equal(predictions[first].sha256, other.sha256):
            raise PneumoError(
                f"{first} and {name} have different {split} images: use a separate work folder for "
                "each data.ingest"
            )


def _read_run(name: str, run: dict[str, Any], process: dict[str, Any]) -> FinishedRun:
    trained = output(run, "Trainer", "model_run")
    val, training = trained / "val_predictions.parquet", trained / "training.json"
    files, scored = [val, training], None
    if any(node["name"] == "Scorer" for node in run["nodes"]):
        scored = output(run, "Scorer", "predictions")
        files += [scored / "predictions.parquet", scored / "predictions.json"]
    for file in files:
        if not file.is_file():
            raise PneumoError(f"{name}: {file} is missing: run the configuration again")
    summary, stressed = read_json_object(training), {}
    if any(node["name"] == "StressTest" for node in run["nodes"]):
        stressed = read_json_object(output(run, "StressTest", "results") / FILE)
    facts = {"task": summary.get("task"), **(summary.get("calibration") or {})}
    if scored is not None:
        facts = read_json_object(scored / "predictions.json")
    finished = FinishedRun(
        name=name,
        run=run,
        process=process,
        training=summary,
        val=read_predictions(val, facts),
        shifted=read_shifted(trained),
        stress_test=stressed,
    )
    test = read_scorer_output(scored) if scored is not None else None
    return finished if test is None else EvaluatedRun(**vars(finished), test=test)


def cost(run: FinishedRun, took: dict[int, float]) -> dict[str, Any]:
    """Describes a configuration and its cost.

    Returns:
      `name`, `backbone`, `task`, `image_size`, `fine_tuned`, `seeds`; `nodes`: rows of `name`,
      `cached`, `seconds` (of the execution that made the outputs; None if unknown) and `spent` (in
      the latest run); `seconds` (all nodes as if nothing were cached), `spent`, `peak_rss_mib` (of
      the process that trained; None if not measured), `size_mib` (exported model on disk),
      `trainable`, `total` (parameters).
    """
    nodes = []
    for node in run.run["nodes"]:
        seconds = float(node["seconds"])
        original = [took[number] for number in _executions(node) if number in took]
        nodes.append(
            {
                "name": node["name"],
                "cached": bool(node["cached"]),
                "seconds": (original[0] if original else None) if node["cached"] else seconds,
                "spent": seconds,
            }
        )
    known = [node["seconds"] for node in nodes if node["seconds"] is not None]
    model = output(run.run, "Trainer", "model")
    parameters = run.training.get("parameters") or {}
    training = run.training
    return {
        "name": run.name,
        "backbone": training.get("backbone"),
        "task": run.val.task.name,
        "image_size": training.get("image_size"),
        "fine_tuned": bool(training.get("fine_tune")),
        "seeds": training.get("seeds"),
        "nodes": nodes,
        "seconds": sum(known) if len(known) == len(nodes) else None,
        "spent": sum(node["spent"] for node in nodes),
        "peak_rss_mib": _peak(run),
        "size_mib": sum(f.stat().st_size for f in model.rglob("*") if f.is_file()) / 2**20,
        "trainable": parameters.get("trainable"),
        "total": parameters.get("total"),
    }


def _peak(run: FinishedRun) -> float | None:
    """Peak memory of the process that trained, MiB; None if training came from the cache."""
    trained = run.process.get("trained") or {}
    if trained.get("peak_rss_mib"):
        return float(trained["peak_rss_mib"])
    nodes = run.run["nodes"]
    if any(node["name"] == "Trainer" and node["cached"] for node in nodes):
        return None
    return max(float(node["peak_rss_mib"]) for node in nodes)


def _executions(node: dict[str, Any]) -> list[int]:
    """Executions that created the outputs of a node, from their folders NODE/KEY/EXECUTION."""
    executions = []
    for uri in (uri for uris in node["outputs"].values() for uri in uris):
        *_, creator, _, number = ("", "", "", *Path(uri).parts)
        if creator == node["name"] and number.isdigit():  # a resolver outputs those of other nodes
            executions.append(int(number))
    return executions


def cached_executions(runs: Iterable[FinishedRun]) -> list[int]:
    """Returns the executions whose outputs came from the cache."""
    nodes = (node for run in runs for node in run.run["nodes"] if node["cached"])
    return sorted({number for node in nodes for number in _executions(node)})


def durations(metadata: Path, executions: Sequence[int]) -> dict[int, float]:
    """Reads the seconds of completed executions from ML Metadata, without importing TFX."""
    if not metadata.is_file() or not executions:
        return {}
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    return {
        node.id: (node.last_update_time_since_epoch - node.create_time_since_epoch) / 1000
        for node in metadata_store.MetadataStore(config).get_executions_by_id(executions)
        if node.last_known_state == pb.Execution.COMPLETE
    }
