"""Checks how well the classes can be predicted without looking at the lungs.

Some data sets can be classified by how their images were made: file size, brightness, resolution. A
high score on such data is weaker evidence. The check fits logistic regressions on such features.
"""

from pathlib import Path
from typing import Any

from core.metrics.binary import bootstrap_binary_metrics
from schema.files import read_lines
from schema.labels import Task

RESAMPLES = 500
SETS = {
    "size of the file in bytes": ("bytes",),
    "six gray-level statistics": tuple(
        f"stats/{name}" for name in ("mean", "std", "p01", "p99", "entropy", "aspect")
    ),
    "height and width in pixels": ("height", "width"),
}


def shortcut_check(manifest: Path, task: Task, seed: int = 0) -> list[dict[str, Any]] | None:
    """Computes the validation AUC of models that see no pixels, fitted on train.

    Returns:
      one entry for each of `SETS`: `what`, `auc`, `low`, `high`; None without a manifest, or if
      train or validation lacks a side.
    """
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not manifest.is_file():
        return None
    rows = list(read_lines(manifest))
    table = pd.DataFrame([{**row, **row["stats"]} for row in rows])
    if table.empty:
        return None
    table["positive"] = [
        task.binary_label(row["pathogen"], int(row.get("boxes", 0))) for row in rows
    ]
    table = table[table["positive"] >= 0]
    train, val = (table[table["split"] == split] for split in ("train", "val"))
    if min(train["positive"].nunique(), val["positive"].nunique()) < 2:
        return None
    found = []
    for what, names in SETS.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(train[list(names)].to_numpy(float), train["positive"])
        auc = bootstrap_binary_metrics(
            val["positive"].to_numpy(),
            model.predict_proba(val[list(names)].to_numpy(float))[:, 1],
            val["patient_id"].to_numpy(str),
            0.5,
            resamples=RESAMPLES,
            seed=seed,
        )["auc"]
        found.append({"what": what, "auc": auc.estimate, "low": auc.low, "high": auc.high})
    return found
