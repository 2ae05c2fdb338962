"""Adds artificial finished runs to a work folder, in the forms that the nodes write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.metrics.binary import bootstrap_binary_metrics
from core.metrics.registry import SHIFTED
from core.predictions import table
from core.reporting.compare.runs import RUN, configuration_folder
from core.reporting.format import intervals
from schema import features as f
from schema.example import encode
from schema.labels import BINARY, Task
from schema.tfrecord import frame
from tests.support.images.synthetic import encode as encode_image
from tests.support.images.synthetic import gray

N_IMAGES = 24
_BOX = [0.2, 0.2, 0.6, 0.6]
_PATHOGENS = ("normal", "bacteria", "virus", "normal", "bacteria", "unknown")
_SECONDS = {"Embedder": 100.0, "Trainer": 20.5, "Scorer": 3.0, "StressTest": 2.0}
_OUTPUTS = {
    "Embedder": ("embeddings",),
    "Trainer": ("model", "model_run"),
    "Scorer": ("predictions",),
}


class FinishedRuns:
    """Adds a run when called; all runs share `work` and `records`."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.records = folder / "records"

    def __call__(
        self,
        name: str,
        task: Task = BINARY,
        seed: int = 0,
        skill: float = 2.0,
        n: int = N_IMAGES,
        prefix: str = "test",
        threshold: float = 0.5,
        val_skill: float | None = None,
        cached: tuple[str, ...] = (),
        weights: str = "file",
        stress_test: dict[str, Any] | None = None,
        shifted_skill: float | None = None,
        validation_only: bool = False,
    ) -> Path:
        """Writes one run.

        Args:
          name: of the configuration.
          task: of the model.
          seed: of the predictions.
          skill: added to the logit of the true class on test.
          n: images of the test split.
          prefix: of their ids.
          threshold: of the score.
          val_skill: as `skill`, on validation; None: the same.
          cached: nodes whose outputs came from the cache.
          weights: kind of weights.
          stress_test: results of StressTest; None: the node did not run.
          shifted_skill: as `skill`, on shifted validation; None: there is none.
          validation_only: test was not evaluated.

        Returns:
          the work folder.
        """
        if not self.records.exists():
            self._write_records()
        number = str(len(list(self.work.glob("compare/*"))) + 10)
        outputs = {
            node: {key: self.work / "artifacts" / node / key / number for key in keys}
            for node, keys in _OUTPUTS.items()
            if node != "Scorer" or not validation_only
        }
        for folder in (folder for keys in outputs.values() for folder in keys.values()):
            folder.mkdir(parents=True)
        model = {"task": task.to_dict(), "threshold": threshold, "band": None, "temperature": 1.0}
        if task.located:
            model["boxes"] = {"kind": "detector", "threshold": 0.5}
        if not validation_only:
            scored = outputs["Scorer"]["predictions"]
            table.write(scored / table.FILE, iter([_columns(task, n, seed, skill, prefix)]))
            (scored / "predictions.json").write_text(json.dumps(model))
        trained = outputs["Trainer"]["model_run"]
        val = _columns(task, 60, seed + 99, skill if val_skill is None else val_skill, "val")
        table.write(trained / "val_predictions.parquet", iter([val]))
        training = {
            "backbone": "Xception",
            "image_size": 224,
            "fine_tune": None,
            "seeds": [seed],
            "weights": {"kind": weights},
            "parameters": {"trainable": 7, "total": 1007},
            "task": task.to_dict(),
            "calibration": {"threshold": threshold, "band": None, "temperature": 1.0},
        }
        (trained / "training.json").write_text(json.dumps(training))
        if shifted_skill is not None:
            _write_shifted(trained, _columns(task, 60, seed + 7, shifted_skill, "held-out"))
        variables = outputs["Trainer"]["model"] / "variables"
        variables.mkdir()
        (variables / "data").write_bytes(b"x" * 3 * 2**19)
        if stress_test is not None:
            folder = self.work / "artifacts" / "StressTest" / "results" / number
            folder.mkdir(parents=True)
            (folder / "corruptions.json").write_text(json.dumps(stress_test))
            outputs["StressTest"] = {"results": folder}
        nodes = [
            {
                "name": node,
                "seconds": seconds,
                "cached": node in cached,
                "peak_rss_mib": 900 + i,
                "outputs": {key: [str(folder)] for key, folder in outputs[node].items()},
                "properties": {},
            }
            for i, (node, seconds) in enumerate(_SECONDS.items())
            if node in outputs
        ]
        folder = configuration_folder(self.work, name)
        folder.mkdir(parents=True)
        (folder / RUN).write_text(json.dumps({"nodes": nodes, "records": str(self.records)}))
        return self.work

    def _write_records(self) -> None:
        self.records.mkdir()
        (self.records / "dataset.json").write_text(json.dumps({"synthetic": False}))
        image = encode_image(Image.fromarray(gray()), "JPEG")
        with (self.records / "test-00000-of-00001.tfrecord").open("wb") as out:
            for i in range(N_IMAGES):
                out.write(frame(encode({f.IMAGE_SHA256: f"test{i}", f.IMAGE_ENCODED: image})))


def _write_shifted(folder: Path, columns: dict[str, list[Any]]) -> None:
    """Writes two folds of the same images."""
    known = [i for i, label in enumerate(columns["positive"]) if label >= 0]
    columns = {name: [values[i] for i in known] for name, values in columns.items()}
    numbers = [0, 1]
    both = {name: [*values, *values] for name, values in columns.items()}
    n = len(columns["score"])
    both |= {"fold": sorted(numbers * n), "held_out": [label == 0 for label in both["positive"]]}
    table.write(folder / table.SHIFTED, iter([both]), folds=True)
    labels, scores = np.array(columns["positive"]), np.array(columns["score"])
    values = bootstrap_binary_metrics(
        labels, scores, np.array(columns["patient_id"]), 0.5, resamples=100, seed=0
    )
    metrics = intervals(values, SHIFTED)
    folds = [{"name": f"NORMAL of {source}", "metrics": metrics} for source in ("IM", "NORMAL2-IM")]
    content = {"folds": folds, "mean": {"folds": 2, "metrics": metrics}, "ordinary": {}}
    (folder / "shifted_validation.json").write_text(json.dumps(content))


def _columns(task: Task, n: int, seed: int, skill: float, prefix: str) -> dict[str, list[Any]]:
    """Columns of core.predictions.table for n images, two of each patient."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {name: [] for name in table.schema().names}
    for i in range(n):
        pathogen = _PATHOGENS[i // 2 % len(_PATHOGENS)]
        logits = rng.normal(0, 1, len(task.classes))
        marked = int(task.located and pathogen != "normal")
        true = (marked,) if task.located else task.compatible.get(pathogen, (0,))
        logits[list(true)] += skill
        p = np.exp(logits) / np.exp(logits).sum()
        values = {
            "sha256": f"{prefix}{i}",
            "filename": f"{prefix}/{i:03d}.jpeg",
            "patient_id": f"{prefix}-{i // 2}",
            "pathogen": pathogen,
            "source": "person",
            "height": 61,
            "width": 83,
            "brightness": 120.0,
            "label": task.class_of(pathogen, marked),
            "positive": task.binary_label(pathogen, marked),
            "score": float(p[list(task.positive)].sum()),
            "probabilities": p.tolist(),
            "raw": p.tolist(),
            "members": p.tolist(),
            "truth_boxes": _BOX * marked,
            "boxes": _BOX if task.located else [],
            "box_scores": [float(p[1])] if task.located else [],
        }
        for name, value in values.items():
            columns[name].append(value)
    return columns
