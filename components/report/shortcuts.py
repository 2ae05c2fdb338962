"""What a classifier could know without looking at a lung.

Some data sets can be told apart by how their images were made: size of the file, brightness,
sharpness. A model that reaches a high score on such data may have learned just that. This check
fits a logistic regression to a handful of such numbers and says how far they go.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.bootstrap import clustered_bootstrap
from schema.labels import Task

RESAMPLES = 500
SETS = {
    "size of the file in bytes": ("bytes",),
    "six gray-level statistics": (
        "stats/mean",
        "stats/std",
        "stats/p01",
        "stats/p99",
        "stats/entropy",
        "stats/aspect",
    ),
    "height and width in pixels": ("height", "width"),
}


def shortcut_check(manifest: Path, of: Task, seed: int = 0) -> list[dict[str, Any]] | None:
    """AUC on validation of models that see no pixels; fitted on train, test is left alone.

    Args:
      manifest: `manifest.jsonl` of ingest.
      of: the task; what is positive in it is to be told apart.
      seed: of the bootstrap over patients.

    Returns:
      one entry for each of `SETS`: `what`, `auc`, `low`, `high`; None where there is no manifest,
      or a split lacks a class.
    """
    if not manifest.is_file():
        return None
    names = sorted({name for names in SETS.values() for name in names})
    rows: dict[str, list[list[float]]] = {"train": [], "val": []}
    labels: dict[str, list[int]] = {"train": [], "val": []}
    patients: list[str] = []
    with manifest.open() as lines:
        for line in lines:
            row = json.loads(line)
            positive = of.side(row["pathogen"], int(row.get("boxes", 0)))
            if row["split"] not in rows or positive < 0:
                continue
            numbers = {**row, **row["stats"]}
            rows[row["split"]].append([float(numbers[name]) for name in names])
            labels[row["split"]].append(positive)
            if row["split"] == "val":
                patients.append(row["patient_id"])
    if any(len(set(of_split)) < 2 for of_split in labels.values()):
        return None
    train, val = (np.array(rows[split]) for split in ("train", "val"))
    return [
        {
            "what": what,
            **_auc(
                train[:, [names.index(name) for name in chosen]],
                np.array(labels["train"]),
                val[:, [names.index(name) for name in chosen]],
                np.array(labels["val"]),
                np.array(patients),
                seed,
            ),
        }
        for what, chosen in SETS.items()
    ]


def _auc(
    train: np.ndarray,
    train_labels: np.ndarray,
    val: np.ndarray,
    val_labels: np.ndarray,
    patients: np.ndarray,
    seed: int,
) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(train, train_labels)
    scores = model.predict_proba(val)[:, 1]
    found = clustered_bootstrap(val_labels, scores, patients, 0.5, resamples=RESAMPLES, seed=seed)[
        "auc"
    ]
    return {"auc": found.estimate, "low": found.low, "high": found.high}
