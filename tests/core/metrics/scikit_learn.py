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
        **expected_rates(labels, scores),
        "precision": ratio(c.tp, c.tp + c.fp),
        "npv": ratio(c.tn, c.tn + c.fn),
        "f1": ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn),
        "brier": brier_score_loss(labels, scores),
        "ece": expected_calibration_error(labels, scores),
    }


def expected_rates(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    specificity = sensitivity = math.nan
    if len(set(labels.tolist())) == 2:
        fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
        specificity = float(1 - fpr[tpr >= 0.95 - 1e-9].min())
        sensitivity = float(tpr[fpr <= 0.05 + 1e-9].max())
    return {"specificity_at_rate": specificity, "sensitivity_at_rate": sensitivity}
