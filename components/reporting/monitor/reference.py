"""The reference that logged inputs are compared with: a run, or records."""

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from components.embedder import store
from components.evaluation.operating_point import DECISIONS, decide
from components.reporting.monitor.drift import statistics_of, tfdv
from components.reporting.monitor.inputs import OK, from_rows
from components.reporting.monitor.predict import measure_records, predict, record_files
from components.trainer.head import select
from schema.errors import PneumoError
from schema.files import read_json


@dataclass
class Reference:
    """The training side.

    Attributes:
      name: of the run, or of the folder of records.
      inputs: TFDV's statistics of brightness, height and width on the training split.
      answers: of score, decision and status on validation, which the model was not trained on; None
        without a model.
      embedding: float32 [k, d]; k is 0 if there are none to compare.
      patient: of these, str [k].
      notes: remarks about what is missing.
    """

    name: str
    inputs: Any
    answers: Any = None
    embedding: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    patient: np.ndarray = field(default_factory=lambda: np.zeros(0, str))
    notes: list[str] = field(default_factory=list)

    def take_embeddings(self, vectors: np.ndarray, patients: np.ndarray, width: int) -> None:
        """Keeps embeddings of the expected width, and notes others."""
        if width and len(vectors) and vectors.shape[1] != width:
            self.notes.append(
                f"embeddings not compared: those of the log have {width} values and those of the "
                f"reference {vectors.shape[1]}; they are from different models"
            )
        else:
            self.embedding, self.patient = vectors, patients


def read_reference(folder: Path, model: Any, width: int, most: int) -> Reference:
    """Reads a work folder of `pneumo run`, or a folder of records.

    Args:
      folder: which.
      model: loaded SavedModel, run if there are no stored features; None: not run.
      width: length of the logged embeddings; 0: there are none, and none are read.
      most: embeddings at most, of different patients.

    Raises:
      PneumoError: it is neither, or files of the run are missing.
    """
    if (folder / "run.json").is_file():
        return _read_run(folder, model, width, most)
    files = record_files(folder)
    if not files:
        raise PneumoError(
            f"reference {folder} has no run.json of `pneumo run` and contains no records"
        )
    inputs = from_rows(predict(measure_records(files), model, 2 * most if width else 0))
    found = Reference(folder.name, statistics_of(inputs.table))
    if model is not None:
        found.answers = found.inputs
    found.take_embeddings(inputs.embedding, inputs.patients, width)
    return found


def run_config(folder: Path) -> dict[str, Any]:
    """Returns the configuration of a run from its report; empty if there is none."""
    run = read_json(folder / "run.json") or {}
    report = read_json(Path(run["report"]).with_suffix(".json")) if "report" in run else None
    return yaml.safe_load((report or {}).get("config") or "") or {}


def _read_run(folder: Path, model: Any, width: int, most: int) -> Reference:
    run = json.loads((folder / "run.json").read_text())
    nodes = {node["name"]: node["outputs"] for node in run["nodes"]}

    def output(node: str, key: str) -> Path:
        found = Path(nodes[node][key][0])
        if not found.exists():
            raise PneumoError(f"reference {folder}: {found} is missing: run the pipeline again")
        return found

    statistics = output("StatisticsGen", "statistics") / "Split-train" / "FeatureStats.pb"
    exported = output("Trainer", "model") / "Format-Serving"
    facts = read_json(exported / "assets.extra" / "pneumo.json") or {}
    reference = Reference(
        str(facts.get("name", folder.name)),
        tfdv().load_stats_binary(str(statistics)),
        _validation(output("Trainer", "model_run") / "val_predictions.parquet", facts),
    )
    if not width:
        return reference
    config = run_config(folder)
    frozen = config.get("training", {}).get("fine_tune") is None
    if frozen and "Embedder" in nodes:
        stored = store.read(output("Embedder", "embeddings") / "Split-train")
        vectors = select(stored.features[0], config.get("model", {}).get("pooling", "avg"))
        reference.take_embeddings(vectors, stored.records.patient_id, width)
    elif model is not None and "embed" in model.signatures:
        # The stored features are those of the backbone before fine-tuning.
        files = sorted((output("ImportExampleGen", "examples") / "Split-train").glob("*.gz"))
        images = islice(measure_records(files), 2 * most)
        inputs = from_rows(predict(images, model, 2 * most))
        reference.take_embeddings(inputs.embedding, inputs.patients, width)
    else:
        reference.notes.append("embeddings not compared: the reference has none of this model")
    return reference


def _validation(file: Path, facts: dict[str, Any]) -> Any:
    import pandas as pd

    if not file.is_file() or "threshold" not in facts:
        return None
    score = pd.read_parquet(file, columns=["score"])["score"].to_numpy(np.float64)
    band = facts.get("band")
    decision = decide(score, facts["threshold"], tuple(band) if band else None)
    words = [DECISIONS[value] for value in decision.tolist()]
    return statistics_of(pd.DataFrame({"score": score, "decision": words, "status": OK}))
