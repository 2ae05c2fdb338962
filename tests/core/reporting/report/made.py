"""A made-up report with every part."""

from dataclasses import replace
from typing import Any

from PIL import Image

from components.gate.decision import decide_blessing
from core.ingest.summary import IngestSummary
from core.metrics.options import EvaluationOptions
from core.predictions.predictions import SplitPredictions
from core.reporting.report.data import ReportData, SampleImage
from schema.labels import BINARY, Task
from tests.support.images.synthetic import FORMS, encode, gray
from tests.support.predictions import synthetic_predictions

EVIL = "<img src=x onerror=alert(1)>.jpeg"
RESAMPLES = 40
CURVES = {
    "epochs": [1, 2],
    "loss": [0.7, 0.4],
    "val_loss": [0.6, 0.5],
    "accuracy": [0.5, 0.8],
    "val_accuracy": [0.6, 0.7],
    "val_auc": [0.71, None],
    "learning_rate": [1e-3, 1e-5],
    "best_epoch": 2,
}


def predicted(n: int = 40, seed: int = 0, of: Task = BINARY, **more: Any) -> SplitPredictions:
    """Predictions, one of them on an image with a hostile name."""
    found = synthetic_predictions(n, seed, task=of, skill=1.0, **more)
    names = found.filename.astype(object)
    names[:1] = EVIL
    return replace(found, filename=names.astype(str))


def decision(candidate: SplitPredictions, blessed: SplitPredictions) -> dict[str, Any]:
    """A decision as the Gate stores it."""
    options = EvaluationOptions(resamples=100, gate={"auc": {"min": 0.6}, "f1": {"min": 0.999}})
    tfma = {
        "blessed": True,
        "rules": [{"metric": "auc", "bound": 0.6, "value": 0.7654, "ok": True}],
    }
    return decide_blessing(candidate, blessed, options).to_dict() | {"tfma": tfma}


def full(of: Task = BINARY) -> ReportData:
    """A report of a task with every part."""
    image = encode(Image.fromarray(gray()), "JPEG")
    test = predicted(of=of, members=3, band=(0.4, 0.6))
    val = predicted(50, 1, of=of, members=3, band=(0.4, 0.6))
    return ReportData(
        name="full",
        resamples=RESAMPLES,
        dataset=IngestSummary(  # as ingest stores it, so that a renamed key is found here
            version=1,
            synthetic=True,
            found=50,
            written=45,
            rejected=3,
            skipped={"*.txt": 2},
            splits={"train": {"normal": 5, "bacteria": 7, "virus": 3}, "test": {"normal": 30}},
            patients={"train": 11, "test": 6},
            policy="patient",
            layout="class",
            seed=4,
            content_sha256="abc123",
            source_fingerprint="def456",
            options={},
            versions={},
            reasons={"truncated": 2, "not_an_image": 1},
            leakage={},
            leakage_ok=False,
        ).model_dump(mode="json")
        | {"shortcuts": [{"what": "size", "auc": 0.6125, "low": 0.5125, "high": None}]},
        leakage={
            "ok": False,
            "notes": ["a note"],
            "counts": {"exact_across_splits": 77, "kind_to_come": 78},
        },
        samples=[
            SampleImage(EVIL, "normal", image),
            SampleImage("b.png", "virus", FORMS["png_16bit"]()),
            SampleImage("broken.png", "virus", b"no image"),
        ],
        training={
            "backbone": "InceptionV3",
            "image_size": 299,
            "fit": "stretch",
            "seeds": [3, 5, 8],
            "weights": {"kind": "random", "file": "", "sha256": "", "reason": "offline"},
            "parameters": {"trainable": 4098, "total": 21_806_882},
            "pooling": "avg",
            "class_weight": {"NORMAL": 1.9, "PNEUMONIA": 0.68},
            "layer": "mixed7",
            "classes": list(of.classes),
            "task": of.to_dict(),
            "class_counts": {"train": [31, 32], "val": [33, 34]},
            "members": [
                {
                    "seed": 3,
                    "best_epoch": 12,
                    "epochs": 20,
                    "seconds": {"head": 4.5},
                    "val": {"auc": 0.9531, "accuracy": None},
                }
            ],
            "embedding": {
                "views": 4,
                "storage": "float16",
                "storage_error": 0.00048,
                "compute": "bfloat16",
                "agreement": {"cosine": 0.99987, "relative": 0.0123},
                "timed": {"float32": 21.7, "bfloat16": 31.9},
                "augment": None,
                "images_per_second": 31.7,
                "seconds": 12.3,
            },
            "calibration": {
                "temperature": 1.25,
                "threshold": 0.5,
                "band": [0.4, 0.6],
                "operating_point": {
                    "rule": "sensitivity",
                    "asked": 0.95,
                    "note": "a note of it",
                    "threshold": 0.5,
                    "sensitivity": 0.951,
                },
                "before": {"ece": 0.0811, "brier": 0.0822, "nll": 0.0833},
                "after": {"ece": 0.0711, "brier": 0.0722, "nll": 0.0733},
            },
            "fine_tune": {"trainable_from": "mixed7", "epochs": 6, "head_learning_rate": None},
            "compute": "bfloat16",
            "tuned": {"dense": [], "dropout": 0.3},
            "seconds": {"embed": 12.3, "fit": 4.5, "all": 29.1},
        },
        histories={"3": CURVES | {"phases": {"head": CURVES, "fine_tune": CURVES}}, "5": CURVES},
        model_summary="Model: <big>",
        answers=test,
        val=val,
        images={str(i): image for i in test.sha256},
        tfma={"overall": {"auc": 0.91234, "accuracy": 0.8}},
        blessing=decision(test, predicted(of=of, model_seed=1)),
        pushed="/serving/1234567",
        config="name: full\n",
        versions={"tfx": "1.21.0"},
    )
