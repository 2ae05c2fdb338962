"""Synthetic predictions of a model of known skill."""

import json
from pathlib import Path

import numpy as np

from core.predictions import table
from core.predictions.predictions import SplitPredictions
from schema.labels import BINARY, Task

BOXES = ("truth_boxes", "boxes", "box_scores")


def synthetic_predictions(
    n: int,
    seed: int = 0,
    *,
    task: Task = BINARY,
    skill: float = 2.0,
    members: int = 1,
    threshold: float = 0.5,
    band: tuple[float, float] | None = None,
    unknown: bool = False,
    model_seed: int = 0,
) -> SplitPredictions:
    """Predictions of a model whose skill is known.

    The same `seed` gives the same images; another `model_seed` gives another model.
    """
    rng = np.random.default_rng(seed)
    kinds = np.array(["normal", "bacteria", "virus"] + (["unknown"] if unknown else []))
    if task.class_of("normal", 0) < 0:
        kinds = kinds[1:]
    pathogen = kinds[np.arange(n) % len(kinds)]
    truth = np.array([rng.choice(task.compatible[name]) for name in pathogen], int)
    common = rng.normal(0, 1, (n, 1, len(task.classes)))
    own = np.random.default_rng([seed, model_seed]).normal(0, 0.4, (n, members, len(task.classes)))
    hint = np.eye(len(task.classes))[truth].reshape(n, 1, len(task.classes))
    raised = np.exp(skill * hint + common + own)
    each = raised / raised.sum(axis=2, keepdims=True)
    raw = each.mean(axis=1)
    calm = raw ** (1 / 1.25)
    probabilities = calm / calm.sum(axis=1, keepdims=True)
    return SplitPredictions(
        task=task,
        threshold=threshold,
        band=band,
        temperature=1.25,
        sha256=np.array([f"id{i}" for i in range(n)], str),
        filename=np.array([f"test/image{i}.jpeg" for i in range(n)], str),
        patient=np.array([f"patient{i // 2}" for i in range(n)], str),
        pathogen=pathogen.astype(str),
        source=np.where(pathogen == "normal", "IM", "person").astype(str),
        height=rng.integers(300, 2000, n),
        width=rng.integers(400, 2500, n),
        brightness=rng.uniform(80, 160, n),
        label=np.array([task.class_of(name, 0) for name in pathogen], np.int64),
        positive=np.array([task.binary_label(name, 0) for name in pathogen], np.int64),
        score=probabilities[:, list(task.positive)].sum(axis=1).clip(0, 1),
        probabilities=probabilities,
        raw=raw,
        members=each,
    )


def write_scorer_output(
    predictions: SplitPredictions, folder: Path, name: str = table.FILE
) -> None:
    """Writes predictions as the Scorer does."""
    own = {"patient_id": "patient"}  # columns whose attribute has another name
    names = [name for name in table.schema().names if name not in BOXES]
    rows = {name: getattr(predictions, own.get(name, name)) for name in names}
    rows["members"] = (
        predictions.members.reshape(len(predictions), -1) if len(predictions) else predictions.raw
    )
    folder.mkdir(parents=True, exist_ok=True)
    columns = {key: value.tolist() for key, value in rows.items()}
    for key in BOXES:
        columns[key] = [row.ravel().tolist() for row in getattr(predictions, key)]
    table.write(folder / name, iter([columns]))
    facts = {
        "task": predictions.task.to_dict(),
        "threshold": predictions.threshold,
        "band": predictions.band,
        "temperature": predictions.temperature,
    }
    if predictions.box_threshold is not None:
        facts["boxes"] = {"kind": "detector", "threshold": predictions.box_threshold}
    (folder / name).with_suffix(".json").write_text(json.dumps(facts))
