"""What logged images are compared with: a run, or records alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from components.embedder import store
from components.evaluation.operating_point import DECISIONS, decide
from components.monitor import asked
from components.monitor.drift import statistics_of, tfdv
from components.monitor.options import WORDS
from components.monitor.seen import Seen, from_rows
from components.trainer.head import select
from schema.errors import PneumoError


@dataclass
class Reference:
    """The side of training.

    Attributes:
      name: of the run, or of the folder of records.
      inputs: TFDV's statistics of brightness, height and width on the training split.
      answers: of score, decision and status on validation, which the model has not learned from;
        None where no model was asked.
      embedding: float32 [k, d]; k 0 where there are none that can be compared.
      patient: of those, str [k].
      notes: lines about what is missing.
    """

    name: str
    inputs: Any
    answers: Any = None
    embedding: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    patient: np.ndarray = field(default_factory=lambda: np.zeros(0, str))
    notes: list[str] = field(default_factory=list)


def read_reference(folder: Path, model: Any, width: int, most: int) -> Reference:
    """Reads a work folder of `pneumo run`, or a folder of records.

    Args:
      folder: which.
      model: loaded SavedModel; asked where a run has no stored features of its own. None: not
        asked.
      width: length of the logged embeddings; 0: there are none, and none are read.
      most: embeddings at most, of different patients.

    Raises:
      PneumoError: it is neither, or what it names is gone.
    """
    if (folder / "run.json").is_file():
        return _of_run(folder, model, width, most)
    if any(folder.glob("*.tfrecord")):
        rows = asked.answered(asked.recorded(folder), model, 2 * most if width else 0)
        seen = from_rows(rows)
        found = Reference(folder.name, statistics_of(seen.numbers, seen.words))
        if model is not None:
            found.answers = found.inputs
        _take(found, seen.embedding, seen.patient[seen.embedded], width)
        return found
    raise PneumoError(
        f"reference {folder} is no work folder of `pneumo run` (no run.json) and holds no records"
    )


def _of_run(folder: Path, model: Any, width: int, most: int) -> Reference:
    told = json.loads((folder / "run.json").read_text())
    nodes = {node["name"]: node["outputs"] for node in told["nodes"]}

    def output(node: str, key: str) -> Path:
        found = Path(nodes[node][key][0])
        if not found.exists():
            raise PneumoError(
                f"reference {folder}: {found} is gone; give a work folder that is whole"
            )
        return found

    statistics = output("StatisticsGen", "statistics") / "Split-train" / "FeatureStats.pb"
    facts = facts_of(output("Trainer", "model") / "Format-Serving")
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
        pooling = config.get("model", {}).get("pooling", "avg")
        vectors = select(stored.features[0], pooling)
        _take(reference, vectors, stored.records.patient_id, width)
    elif model is not None and "embed" in model.signatures:
        # The trunk was tuned after its features were stored: the model itself must say.
        files = sorted((output("ImportExampleGen", "examples") / "Split-train").glob("*.gz"))
        rows = asked.answered(islice(_gzip(files), 2 * most), model, 2 * most)
        seen = from_rows(rows)
        _take(reference, seen.embedding, seen.patient[seen.embedded], width)
    else:
        reference.notes.append("embeddings not compared: the reference has none of this model")
    return reference


def facts_of(model: Path) -> dict[str, Any]:
    """What a SavedModel of ours says of itself; empty where it says nothing."""
    file = model / "assets.extra" / "pneumo.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def run_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run, as its report has it; empty where there is no report."""
    told = json.loads((folder / "run.json").read_text())
    report = Path(told["report"]).with_suffix(".json")
    if not report.is_file():
        return {}
    return yaml.safe_load(json.loads(report.read_text()).get("config") or "") or {}


def _validation(file: Path, facts: dict[str, Any]) -> Any:
    import pyarrow.parquet as pq

    if not file.is_file() or "threshold" not in facts:
        return None
    score = pq.read_table(file, columns=["score"])["score"].to_numpy().astype(np.float64)
    band = facts.get("band")
    called = decide(score, facts["threshold"], tuple(band) if band else None)
    decision = np.array([DECISIONS[value] for value in called.tolist()], str)
    words = {"decision": decision, "status": np.full(len(score), "OK")}
    return statistics_of({"score": score}, {name: words[name] for name in WORDS})


def _take(reference: Reference, vectors: np.ndarray, patients: np.ndarray, width: int) -> None:
    if width and len(vectors) and vectors.shape[1] != width:
        reference.notes.append(
            f"embeddings not compared: the log's have {width} numbers and the reference's "
            f"{vectors.shape[1]}; they are of different models"
        )
        return
    reference.embedding, reference.patient = vectors, patients


def _gzip(files: list[Path]) -> Iterator[asked.Image]:
    import tensorflow as tf

    paths = [str(file) for file in files]
    for record in tf.data.TFRecordDataset(paths, compression_type="GZIP"):
        yield asked.of_record(record.numpy())


def read_logged(path: Path, model: Any, most: int) -> Seen:
    """Reads a log, a folder of logs, images or records; whichever is there.

    Args:
      path: which.
      model: asked about images and records; a log has its answers already.
      most: images that get their embedding.

    Raises:
      PneumoError: there is nothing of these.
    """
    from components.monitor.seen import log_files, read_logs

    if not path.exists():
        raise PneumoError(f"logged {path} does not exist; check the path")
    if files := log_files(path):
        return read_logs(files)
    if path.is_dir() and any(path.glob("*.tfrecord")):
        return from_rows(asked.answered(asked.recorded(path), model, 2 * most))
    if files := asked.images_below(path):
        return from_rows(asked.answered(asked.measured(files), model, 2 * most))
    raise PneumoError(
        f"logged {path} holds neither .jsonl lines of `pneumo serve --log-inputs`, nor records, "
        "nor .jpeg, .jpg or .png images"
    )
