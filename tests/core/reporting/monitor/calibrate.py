"""Measures false alarms and detections of `pneumo monitor` on the patients of a finished run.

    python -m tests.core.reporting.monitor.calibrate pneumo_runs/xception

The validation images are dealt to a reference and a log without common patients, so that both have
one distribution; the log is one image of each patient, or whole patients. Then the log is changed.
Prints the share of alarms at the default thresholds, and the 99 % quantile of each measure.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from core.metrics.operating_point import decide
from core.reporting.monitor.comparators import compare_measures, compute_statistics
from core.reporting.monitor.options import MonitorOptions

CHANGES = {  # factors of brightness and of both sides
    "none": (1.0, 1.0),
    "brightness +5 %": (1.05, 1.0),
    "brightness +10 %": (1.1, 1.0),
    "brightness +20 %": (1.2, 1.0),
    "half the resolution": (1.0, 0.5),
}


def deal(table: pd.DataFrame, n: int, whole: bool, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A log of n images, and the images of all other patients."""
    shuffled = table.sample(frac=1, random_state=seed)
    if not whole:
        shuffled = shuffled.drop_duplicates("patient_id")
    order = {name: i for i, name in enumerate(shuffled["patient_id"].unique())}
    log = shuffled.sort_values("patient_id", key=lambda ids: ids.map(order)).head(n)
    return log, shuffled[~shuffled["patient_id"].isin(log["patient_id"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    run = json.loads((options.run / "run.json").read_text())
    trained = next(node for node in run["nodes"] if node["name"] == "Trainer")
    table = pd.read_parquet(Path(trained["outputs"]["model_run"][0]) / "val_predictions.parquet")
    called = decide(table["score"].to_numpy(float), 0.5)
    table["decision"] = np.where(called == 1, "POSITIVE", "NEGATIVE")
    cases = [(n, whole, "none") for n in (50, 100, 200) for whole in (False, True)]
    cases += [(100, False, change) for change in CHANGES if change != "none"]
    for n, whole, change in cases:
        gain, scale = CHANGES[change]
        alarms, values = 0, []
        for seed in range(options.repeats):
            log, rest = deal(table, n, whole, seed)
            log = log.assign(
                brightness=(log["brightness"] * gain).clip(0, 255),
                height=log["height"] * scale,
                width=log["width"] * scale,
            )
            found = compare_measures(
                compute_statistics(rest),
                compute_statistics(log),
                MonitorOptions().thresholds,
                "training",
            )
            alarms += any(not one.ok for one in found)
            values.append({one.name: one.value for one in found})
        quantiles = pd.DataFrame(values).quantile(0.99).round(3).to_dict()
        kind = "whole patients" if whole else "one image each"
        print(f"{n:4d} {kind:15s} {change:20s} alarms {alarms / options.repeats:.3f}  {quantiles}")


if __name__ == "__main__":
    main()
