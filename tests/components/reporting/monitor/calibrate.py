"""Measures false alarms and detections of `pneumo monitor` on the patients of a finished run.

    python -m tests.components.reporting.monitor.calibrate pneumo_runs/xception

Patients of train and val are dealt to a reference and to a log, so that both are of one
distribution; the log is drawn as one image of each patient, or as whole patients. Then the log is
changed. Prints the share of alarms at the default thresholds, and the 99 % point of each measure.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from components.embedder import store
from components.evaluation.operating_point import decide
from components.reporting.monitor.drift import compare, statistics_of
from components.reporting.monitor.options import MonitorOptions
from components.reporting.monitor.two_sample import mmd, one_per_patient


def deal(
    patients: np.ndarray, n: int, whole: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a log of n images and of the reference, which share no patient."""
    names = rng.permutation(np.unique(patients))
    log: list[int] = []
    used = 0
    while len(log) < n:
        rows = np.flatnonzero(patients == names[used])
        log += rows.tolist() if whole else [int(rng.choice(rows))]
        used += 1
    rest = np.flatnonzero(np.isin(patients, names[used:]))
    if not whole:
        # The same unit on both sides: patients with pneumonia have more images than others.
        rest = rest[one_per_patient(patients[rest], len(rest), rng)]
    return np.array(log[:n]), rest


def measures(
    columns: dict[str, np.ndarray], rows: np.ndarray, gain: float, side: float
) -> pd.DataFrame:
    called = decide(columns["score"][rows], 0.5)
    return pd.DataFrame(
        {
            "brightness": np.clip(columns["brightness"][rows] * gain, 0, 255),
            "height": columns["height"][rows] * side,
            "width": columns["width"][rows] * side,
            "score": columns["score"][rows],
            "decision": np.where(called == 1, "POSITIVE", "NEGATIVE"),
        }
    )


CHANGES = {
    "as it is": (1.0, 1.0),
    "brightness +5 %": (1.05, 1.0),
    "brightness +10 %": (1.1, 1.0),
    "brightness +20 %": (1.2, 1.0),
    "half the resolution": (1.0, 0.5),
}


def scalars(columns: dict[str, np.ndarray], repeats: int) -> Iterator[str]:
    options, patients = MonitorOptions(), columns["patient"]
    for n in (50, 100, 200):
        for whole in (False, True):
            for change, (gain, side) in CHANGES.items():
                if change != "as it is" and (whole or n > 100):
                    continue
                alarms, values = 0, {}  # type: int, dict[str, list[float]]
                for seed in range(repeats):
                    rng = np.random.default_rng(seed)
                    log, rest = deal(patients, n, whole, rng)
                    found = compare(
                        statistics_of(measures(columns, rest, 1, 1)),
                        statistics_of(measures(columns, log, gain, side)),
                        options.thresholds,
                        "training",
                    )
                    alarms += any(not one.ok for one in found)
                    for one in found:
                        values.setdefault(one.name, []).append(one.value)
                points = {name: round(float(np.quantile(v, 0.99)), 3) for name, v in values.items()}
                kind = "whole patients" if whole else "one of each"
                yield f"{n:4d} {kind:15s} {change:20s} alarms {alarms / repeats:.3f}  99 % {points}"


def embeddings(
    features: np.ndarray, patients: np.ndarray, normal: np.ndarray, repeats: int
) -> Iterator[str]:
    options = MonitorOptions()
    cases = {
        "one of each patient": (False, True, None),
        "whole patients, named": (True, True, None),
        "whole patients, not named": (True, False, None),
        "normals alone": (False, True, 1.0),
        "normals twice as common": (False, True, 2.0),
    }
    for case, (whole, named, more) in cases.items():
        low = 0
        for seed in range(repeats):
            rng = np.random.default_rng(seed)
            log, rest = deal(patients, 100, whole, rng)
            if more == 1.0:
                free = np.setdiff1d(np.flatnonzero(normal), rest)
                log = rng.choice(free if len(free) >= 50 else np.flatnonzero(normal), 50, False)
                rest = rest[~np.isin(patients[rest], patients[log])]
            elif more:
                weight = np.where(normal[log], more, 1.0)
                log = rng.choice(log, 60, replace=False, p=weight / weight.sum())
            known = patients[log] if named else np.full(len(log), "")
            ours = log[one_per_patient(known, options.most, rng)]
            theirs = rest[one_per_patient(patients[rest], options.most, rng)]
            test = mmd(features[ours], features[np.sort(theirs)], 199, rng)
            low += test.p < options.alpha
        yield f"embeddings, {case:26s} p < {options.alpha:g} in {low / repeats:.3f} of {repeats}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", choices=["scalars", "embeddings"])
    asked = parser.parse_args()
    told = json.loads((asked.run / "run.json").read_text())
    nodes = {node["name"]: node["outputs"] for node in told["nodes"]}
    stored = store.read(Path(nodes["Embedder"]["embeddings"][0]) / "Split-train")
    records = stored.records
    import pyarrow.parquet as pq

    val = pq.read_table(Path(nodes["Trainer"]["model_run"][0]) / "val_predictions.parquet")
    columns = {
        name: np.array(val[key].to_pylist())
        for name, key in (
            ("patient", "patient_id"), ("brightness", "brightness"), ("height", "height"),
            ("width", "width"), ("score", "score"),
        )
    }  # fmt: skip
    if asked.only != "embeddings":
        for line in scalars(columns, asked.repeats):
            print(line, flush=True)
    if asked.only == "scalars":
        return
    half = stored.features[0].shape[1] // 2
    features = np.asarray(stored.features[0][:, :half], np.float32)
    for line in embeddings(
        features, records.patient_id, records.pathogen == "normal", asked.repeats
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
