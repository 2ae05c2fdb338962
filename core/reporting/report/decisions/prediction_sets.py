"""Coverage and size of conformal prediction sets."""

from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np

from core.metrics.bootstrap import clustered_bootstrap
from core.metrics.decisions.conformal import (
    ConformalPredictor,
    cross_fitted_sets,
    set_statistics,
)
from core.predictions.predictions import SplitPredictions

ALPHAS = (0.1, 0.05)


def prediction_sets_section(
    val: SplitPredictions, test: SplitPredictions, resamples: int, seed: int
) -> dict[str, Any] | None:
    """Measures prediction sets; None if a split has no image with a single class.

    On validation the sets of each patient are fitted on other patients; on test they are fitted on
    all of validation.

    Returns:
      `images` and `patients` of validation; `rows` of `target` (coverage), `by_class`, `split`
      and `metrics` with intervals (see `set_statistics`).
    """
    val, test = val.with_class_label(), test.with_class_label()
    if not len(val) or not len(test):
        return None
    fitted_on = val.label, val.probabilities
    rows = []
    for alpha, by_class in product(ALPHAS, (False, True)):
        predictor = ConformalPredictor.fit(*fitted_on, alpha, by_class=by_class)
        on_val = cross_fitted_sets(*fitted_on, val.patient, alpha, by_class=by_class, seed=seed)
        on_test = predictor.sets(test.probabilities)
        rows += [
            {
                "target": round(1 - alpha, 9),
                "by_class": by_class,
                "split": split,
                "metrics": set_metrics(part, sets, resamples, seed),
            }
            for split, part, sets in (("val", val, on_val), ("test", test, on_test))
        ]
    return {"images": len(val), "patients": len(np.unique(val.patient)), "rows": rows}


def set_metrics(
    predictions: SplitPredictions, sets: np.ndarray, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Computes `set_statistics` with intervals by patient."""
    statistics, shares = set_statistics(predictions.label, sets, predictions.task.classes)
    measured = clustered_bootstrap(
        statistics, predictions.patient, shares=shares, resamples=resamples, seed=seed
    )
    return {name: asdict(value) for name, value in measured.items()}
