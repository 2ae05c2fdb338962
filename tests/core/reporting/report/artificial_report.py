"""An artificial report with every part."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.gate.decision import decide_blessing
from core.metrics.options import EvaluationOptions
from core.predictions.predictions import SplitPredictions
from core.reporting.report.data import ReportData, SampleImage
from schema.labels import BINARY, Task
from tests.support.artificial_run import HOSTILE_NAME, dataset, load
from tests.support.images.synthetic import FORMS, encode, gray
from tests.support.predictions import synthetic_predictions
from tests.support.shifted_validation import OPTIONS, results
from tests.support.stress_test import synthetic_stress_test

RESAMPLES = 40
RUN = Path(__file__).parent / "run"
CURVES: dict[str, Any] = load("history", RUN)


def predicted(n: int = 40, seed: int = 0, task: Task = BINARY, **more: Any) -> SplitPredictions:
    """Predictions, one of them on an image with a hostile name."""
    found = synthetic_predictions(n, seed, task=task, skill=1.0, **more)
    names = found.filename.astype(object)
    names[:1] = HOSTILE_NAME
    return replace(found, filename=names.astype(str))


def decision(candidate: SplitPredictions, blessed: SplitPredictions) -> dict[str, Any]:
    """A decision as the Gate stores it."""
    options = EvaluationOptions(resamples=100, gate={"auc": {"min": 0.6}, "f1": {"min": 0.999}})
    tfma = {
        "blessed": True,
        "rules": [{"metric": "auc", "bound": 0.6, "value": 0.7654, "ok": True}],
    }
    return decide_blessing(candidate, blessed, options).to_dict() | {"tfma": tfma}


def full_report(task: Task = BINARY) -> ReportData:
    """Returns a report of a task with every part."""
    image = encode(Image.fromarray(gray()), "JPEG")
    test = predicted(task=task, members=3, band=(0.4, 0.6))
    val = predicted(50, 1, task=task, members=3, band=(0.4, 0.6))
    return ReportData(
        name="full",
        resamples=RESAMPLES,
        dataset=dataset(RUN)
        | {"shortcuts": [{"what": "size", "auc": 0.6125, "low": 0.5125, "high": None}]},
        leakage={
            "ok": False,
            "notes": ["a note"],
            "counts": {"exact_across_splits": 77, "kind_to_come": 78},
        },
        samples=[
            SampleImage(HOSTILE_NAME, "normal", image),
            SampleImage("b.png", "virus", FORMS["png_16bit"]()),
            SampleImage("broken.png", "virus", b"no image"),
        ],
        training=load("training", RUN) | {"classes": list(task.classes), "task": task.to_dict()},
        histories={"3": CURVES | {"phases": {"head": CURVES, "fine_tune": CURVES}}, "5": CURVES},
        model_summary="Model: <big>",
        predictions=test,
        val=val,
        held_out=predicted(30, 2, task=task).where(np.arange(30) < 25),
        images={str(i): image for i in test.sha256},
        tfma={"overall": {"auc": 0.91234, "accuracy": 0.8}},
        blessing=decision(test, predicted(task=task, model_seed=1)),
        shifted=results(task, OPTIONS.model_copy(update={"resamples": RESAMPLES})),
        stress_test=synthetic_stress_test(resamples=RESAMPLES),
        pushed="/serving/1234567",
        config="name: full\n",
        versions={"tfx": "1.21.0"},
    )
