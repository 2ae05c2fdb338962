"""Reference for logged inputs: the training and validation data of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from core.embedding import store
from core.metrics.operating_point import DECISIONS, decide
from core.models.head import select_pooling
from core.reporting import run_outputs
from core.reporting.monitor.comparators import compute_statistics, tfdv
from core.reporting.monitor.inputs import OK
from core.reporting.records import content, read_fields, text
from schema import features as f
from schema.errors import PneumoError
from schema.files import read_json
from schema.model_folder import load_saved_model, read_model_info

_BATCH = 16


@dataclass
class Reference:
    """Statistics and embeddings of a run.

    Attributes:
      name: of the run.
      inputs: TFDV's statistics of brightness, height and width on the training split.
      predictions: TFDV's statistics of score, decision and status on validation, which the model
        was not trained on; None if they are missing.
      embedding: float32 [k, d]; k is 0 if there are none to compare.
      patient: patient key of each embedding, str [k].
      notes: remarks about what is missing.
    """

    name: str
    inputs: Any
    predictions: Any = None
    embedding: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    patient: np.ndarray = field(default_factory=lambda: np.zeros(0, str))
    notes: list[str] = field(default_factory=list)


def read_run(folder: Path) -> dict[str, Any]:
    """Reads `run.json` of a work folder of `pneumo run`.

    Raises:
      PneumoError: the folder is not a work folder.
    """
    run = run_outputs.read_run(folder / "run.json", folder)
    if not run:
        raise PneumoError(f"reference {folder} has no run.json: give a work folder of `pneumo run`")
    return run


def read_reference(folder: Path, run: Mapping[str, Any], width: int, most: int) -> Reference:
    """Reads the outputs of a run.

    Args:
      folder: the work folder.
      run: its `run.json`.
      width: length of the logged embeddings; 0: there are none, and none are read.
      most: training images to embed if the stored features are not those of the model.

    Raises:
      PneumoError: nodes or files of the run are missing.
    """

    def existing(node: str, key: str) -> Path:
        path = run_outputs.output(run, node, key)
        if not path.exists():
            recorded = run_outputs.recorded_folder(run) or str(folder)
            moved = "" if recorded == str(folder.resolve()) else f" (the run was in {recorded})"
            raise PneumoError(
                f"reference {folder}: {path} is missing{moved}: copy the whole work folder, or run "
                "the pipeline again"
            )
        return path

    statistics = existing("StatisticsGen", "statistics") / "Split-train" / "FeatureStats.pb"
    model = existing("Trainer", "model") / "Format-Serving"
    model_info = read_model_info(model)
    reference = Reference(
        str(model_info.get("name", folder.name)),
        tfdv().load_stats_binary(str(statistics)),
        _validation(existing("Trainer", "model_run") / "val_predictions.parquet", model_info),
    )
    if not width:
        return reference
    config = run_config(run)
    nodes = {node["name"] for node in run["nodes"]}
    if config.get("training", {}).get("fine_tune") is None and "Embedder" in nodes:
        stored = store.read_embeddings(existing("Embedder", "embeddings") / "Split-train")
        vectors = select_pooling(stored.features[0], config.get("model", {}).get("pooling", "avg"))
        patients = stored.records.patient_id
    else:  # the stored features are those of the backbone before fine-tuning
        files = sorted((existing("ImportExampleGen", "examples") / "Split-train").glob("*.gz"))
        vectors, patients = embed(model, files, most)
    if len(vectors) and vectors.shape[1] != width:
        reference.notes.append(
            f"embeddings not compared: those of the log have {width} values and those of the "
            f"reference {vectors.shape[1]}; they are from different models"
        )
    else:
        reference.embedding, reference.patient = vectors, patients
    return reference


def embed(model: Path, files: Sequence[Path], most: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeds the first images of records.

    Returns:
      embeddings float32 [k, d] and patients, str [k].
    """
    import tensorflow as tf

    loaded = load_saved_model(model)
    vectors: list[np.ndarray] = []
    patients: list[str] = []
    records = islice(read_fields(files), most)
    while batch := list(islice(records, _BATCH)):
        sent = tf.constant([content(fields) for fields in batch])
        vectors.append(loaded.signatures["embed"](image_bytes=sent)["embedding"].numpy())
        patients += [text(fields, f.PATIENT_ID) for fields in batch]
    return np.concatenate(vectors or [np.zeros((0, 0), np.float32)]), np.array(patients, str)


def run_config(run: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration of a run from its report; empty if there is none."""
    report = read_json(Path(run["report"]).with_suffix(".json")) if "report" in run else None
    return yaml.safe_load((report or {}).get("config") or "") or {}


def _validation(file: Path, model_info: dict[str, Any]) -> Any:
    import pandas as pd

    if not file.is_file() or "threshold" not in model_info:
        return None
    score = pd.read_parquet(file, columns=["score"], partitioning=None)["score"].to_numpy(
        np.float64
    )
    band = model_info.get("band")
    decision = decide(score, model_info["threshold"], tuple(band) if band else None)
    decisions = [DECISIONS[value] for value in decision.tolist()]
    return compute_statistics(pd.DataFrame({"score": score, "decision": decisions, "status": OK}))
