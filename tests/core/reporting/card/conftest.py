"""The files of an artificial run, in the forms that the nodes write."""

import pytest

from core.reporting.card.run_files import RunFiles
from schema.labels import TWO_STAGE
from tests.core.reporting.card.made import DECISION, EVIL, REPORT, TRAINING, dataset


@pytest.fixture
def files() -> RunFiles:
    return RunFiles(
        task=TWO_STAGE,
        config={
            "name": "artificial",
            "model": {"dense": [64]},
            "training": {"loss": "cross_entropy", "epochs": 60, "batch_size": 64},
            "card": {"ethics": "approved, number 12/34", "contact": "  ", "funding": None},
        },
        dataset=dataset(),
        leakage={
            "ok": True,
            "counts": {
                "patients_in_two_splits": 0,
                "exact_across_splits": 0,
                "near_across_splits": 0,
                "exact_within_split": 6,
            },
        },
        rejects=[{"file": EVIL, "reason": "truncated", "detail": "ends early"}],
        training=TRAINING,
        about=None,
        report=REPORT,
        decision=DECISION,
        lineage=[
            {
                "key": "model",
                "type": "Model",
                "artifact": 41,
                "node": "Trainer",
                "execution": 8,
                "made": "2026-01-31 14:05:00",
                "folder": "Trainer/model/8",
                "properties": {},
            }
        ],
        run={"pipeline": "pneumo", "run_id": "2026-01-31T14", "execution": "15"},
    )
