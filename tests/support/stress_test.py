"""Results of a stress test of a model of known skill, as StressTest writes them."""

from typing import Any

import numpy as np

from core.predictions.stress_test import CONDITIONS, StressScores, stress_test_results
from schema.files import json_values


def synthetic_stress_test(noise: float = 1.0, n: int = 60, resamples: int = 40) -> dict[str, Any]:
    """Returns the content of `corruptions.json`.

    Args:
      noise: added to the log-odds by the last corruption at level severe; 0: no score changes.
      n: images, two of each patient.
      resamples: of the bootstrap.
    """
    rng = np.random.default_rng(0)
    labels = np.arange(n) // 2 % 2
    log_odds = 3.0 * (labels - 0.5) + rng.normal(0, 1, n)
    added = rng.normal(0, 1, (len(CONDITIONS), n)) * np.linspace(0, noise, len(CONDITIONS))[:, None]
    scores = StressScores(
        labels=labels,
        patients=np.array([f"patient{i // 2}" for i in range(n)]),
        uncorrupted=1 / (1 + np.exp(-log_odds)),
        corrupted=dict(zip(CONDITIONS, 1 / (1 + np.exp(-log_odds - added)), strict=True)),
        threshold=0.5,
    )
    results = {"split": "val", "labeled": n + 3, **stress_test_results(scores, resamples, 0)}
    return dict(json_values(results))
