"""The files of an artificial run, in the forms that the nodes write."""

from typing import Any

from core.ingest.summary import IngestSummary
from schema.labels import TWO_STAGE

EVIL = "<img src=x onerror=alert(1)>.jpeg"


def interval(estimate: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"estimate": estimate, "low": low, "high": high, "resamples_used": 100, "exact": False}


def dataset(**changes: Any) -> dict[str, Any]:
    """As ingest stores it, so that a renamed key is found here."""
    values: dict[str, Any] = {
        "version": 1,
        "synthetic": False,
        "found": 131,
        "written": 127,
        "rejected": 2,
        "reasons": {"truncated": 2},
        "skipped": {"*.txt": 2},
        "splits": {
            "train": {"normal": 40, "bacteria": 31, "virus": 11, "unknown": 5},
            "val": {"normal": 10, "bacteria": 6, "virus": 4},
            "test": {"normal": 10, "bacteria": 7, "virus": 3},
        },
        "patients": {"train": 61, "val": 15, "test": 17},
        "policy": "given_patient_val",
        "layout": "split_class",
        "seed": 4,
        "content_sha256": "c0ffee",
        "leakage": {},
        "source_fingerprint": "def456",
        "options": {},
        "versions": {},
        "leakage_ok": True,
    }
    return IngestSummary(**{**values, **changes}).model_dump(mode="json")


TRAINING: dict[str, Any] = {
    "backbone": "Xception",
    "weights": {
        "kind": "file",
        "file": "/secret/home/xception.h5",
        "sha256": "77aa88",
        "reason": "",
        "published": "yes",
    },
    "image_size": 224,
    "fit": "stretch",
    "layer": "add_10",
    "pooling": "avg",
    "task": TWO_STAGE.to_dict(),
    "classes": list(TWO_STAGE.classes),
    "class_weight": {"NORMAL": 1.25, "BACTERIA": 0.75, "VIRUS": 1.5},
    "class_counts": {"train": [40, 31, 11], "val": [10, 6, 4]},
    "parameters": {"trainable": 1234, "total": 20_861_480},
    "seeds": [3, 5],
    "compute": "bfloat16",
    "members": [
        {"seed": 3, "epochs": 9, "best_epoch": 7, "val": {"auc": 0.9, "accuracy": 0.8}},
        {"seed": 5, "epochs": 8, "best_epoch": 2, "val": {"auc": 0.8, "accuracy": 0.7}},
    ],
    "calibration": {
        "temperature": 1.357,
        "threshold": 0.4321,
        "band": [0.35, 0.55],
        "operating_point": {
            "rule": "sensitivity",
            "asked": 0.95,
            "sensitivity": 0.96,
            "specificity": 0.71,
            "note": "a note of the rule",
        },
        "before": {"ece": 0.111, "brier": 0.222, "nll": 0.5},
        "after": {"ece": 0.055, "brier": 0.199, "nll": 0.4},
    },
    "embedding": {"views": 4},
    "fine_tune": {"epochs": 3, "learning_rate": 2e-4, "batch_norm": "frozen", "source": "cache"},
    "tuned": {"dense": [64], "dropout": 0.2, "learning_rate": 0.001, "weight_decay": 0.01},
}


REPORT: dict[str, Any] = {
    "bootstrap": {"resamples": 100, "seed": 0, "level": 0.95, "unit": "patient"},
    "test": {"images": 20, "patients": 17, "positives": 10, "left_out": 0},
    "metrics": {
        "auc": interval(0.91, 0.85, 0.97),
        "accuracy": interval(0.83, 0.7, 0.9),
        "sensitivity": interval(0.8, 0.6, 0.95),
        "specificity": interval(0.86, 0.7, 0.99),
        "ece": interval(0.07, 0.03, 0.12),
        "npv": interval(None),
    },
    "classes_on_test": {
        "metrics": {
            "class_accuracy": interval(0.74, 0.6, 0.85),
            "auc/BACTERIA|VIRUS": interval(0.66, 0.4, 0.9),
        }
    },
    "confusion": {"tp": 8, "fn": 2, "fp": 1, "tn": 9},
    "slices": [
        {
            "feature": "pathogen",
            "value": "virus",
            "images": 3,
            "patients": 3,
            "metrics": {"accuracy": interval(0.67, 0.2, 0.99)},
        },
        {
            "feature": "source",
            "value": "IM",
            "images": 100,
            "patients": 90,
            "metrics": {"accuracy": interval(0.88, 0.8, 0.94)},
        },
    ],
    "calibration": {
        "before": {"ece": interval(0.1), "brier": interval(0.2)},
        "after": {"ece": interval(0.07, 0.03, 0.12), "brier": interval(0.15)},
    },
    "shift": {"classes": [], "warnings": ["The scores of negative images differ."]},
    "members": {
        "seeds": [3, 5],
        "metrics": {
            "auc": {"values": [0.9, 0.88], "mean": 0.89, "low": 0.88, "high": 0.9, "sd": 0.01}
        },
    },
    "dataset": {
        "shortcuts": [
            {"what": "size of the file", "auc": 0.9, "low": 0.8, "high": 0.95},
            {"what": "nothing much", "auc": 0.55, "low": 0.4, "high": 0.7},
        ]
    },
    "versions": {"tfx": "1.21.0", "keras": "3.15.1"},
}


DECISION: dict[str, Any] = {
    "blessed": False,
    "rules": [
        {
            "metric": "auc",
            "kind": "at least",
            "bound": 0.95,
            "value": 0.91,
            "low": 0.85,
            "high": 0.97,
            "ok": False,
        }
    ],
    "tests": [
        {
            "metric": "auc",
            "method": "DeLong by patient",
            "candidate": 0.91,
            "blessed": 0.9,
            "difference": 0.01,
            "p_worse": 0.7,
            "alpha": 0.025,
            "detectable": 0.05,
            "ok": True,
            "note": "",
        }
    ],
    "failures": ["auc is 0.91"],
    "notes": [],
}
