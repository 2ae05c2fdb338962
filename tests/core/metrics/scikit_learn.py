"""Binary metrics by scikit-learn, to compare with."""

import math

import numpy as np
from sklearn import metrics

from core.metrics.binary import (
    brier_score_loss,
    confusion_counts,
    expected_calibration_error,
    ratio,
    roc_auc_score,
)


def expected_metrics(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    c = confusion_counts(labels, scores, threshold)
    return {
        "auc": roc_auc_score(labels, scores),
        "auc_pr": float(metrics.average_precision_score(labels, scores))
        if labels.any()
        else math.nan,
        "accuracy": ratio(c.tp + c.tn, c.tp + c.fp + c.tn + c.fn),
        "sensitivity": ratio(c.tp, c.tp + c.fn),
        "specificity": ratio(c.tn, c.tn + c.fp),
        "precision": ratio(c.tp, c.tp + c.fp),
        "npv": ratio(c.tn, c.tn + c.fn),
        "f1": ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn),
        "brier": brier_score_loss(labels, scores),
        "ece": expected_calibration_error(labels, scores),
    }
