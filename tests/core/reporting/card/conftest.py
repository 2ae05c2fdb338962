import pytest

from core.reporting.card.run_files import RunFiles
from schema.labels import TWO_STAGE
from tests.support.artificial_run import DECISION, HOSTILE_NAME, REPORT, TRAINING, dataset, load


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
        leakage=load("leakage"),
        rejects=[{"file": HOSTILE_NAME, "reason": "truncated", "detail": "ends early"}],
        training=TRAINING,
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
