"""The metrics: display name, meaning, and the pages and checks that use them.

To add a metric, compute it in `binary.binary_statistics`, `multiclass.class_statistics` or
`boxes.summary.box_statistics` and describe it here. The
report, the model card, the comparison page, the gate and the configuration of TFMA read this table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """Description of one metric.

    Attributes:
      label: display name.
      explanation: one line; may contain {positive}, {negative} (class names) and {pair} (classes).
      gate: what the metric needs if `evaluation.gate` may bound it; None if it may not.
      tfma: class of TensorFlow Model Analysis with the same value; empty if there is none.
      at_threshold: whether the value depends on the operating point.
    """

    label: str
    explanation: str
    gate: Literal["score", "classes", "boxes"] | None = None
    tfma: str = ""
    at_threshold: bool = False


METRICS = {
    "auc": Metric(
        "AUC",
        "probability that a {positive} image scores higher than a {negative} image",
        gate="score",
        tfma="AUC",
    ),
    "auc_pr": Metric(
        "AUC-PR", "average precision over all thresholds", gate="score", tfma="AUCPrecisionRecall"
    ),
    "accuracy": Metric(
        "Accuracy",
        "share of images classified correctly as {positive} or {negative}",
        gate="score",
        tfma="BinaryAccuracy",
        at_threshold=True,
    ),
    "sensitivity": Metric(
        "Sensitivity",
        "share of {positive} images classified as {positive}",
        gate="score",
        tfma="Recall",
        at_threshold=True,
    ),
    "specificity": Metric(
        "Specificity",
        "share of {negative} images classified as {negative}",
        gate="score",
        tfma="Specificity",
        at_threshold=True,
    ),
    "specificity_at_rate": Metric(
        "Specificity at sensitivity 0.95",
        "share of {negative} images classified correctly at the highest threshold that finds 95 % "
        "of the {positive} images, chosen on these images",
    ),
    "sensitivity_at_rate": Metric(
        "Sensitivity at specificity 0.95",
        "share of {positive} images classified correctly at the lowest threshold that keeps 95 % "
        "of the {negative} images, chosen on these images",
    ),
    "precision": Metric(
        "Precision (PPV)",
        "share of positive predictions that are correct, at the prevalence of this split",
        gate="score",
        tfma="Precision",
        at_threshold=True,
    ),
    "npv": Metric(
        "NPV",
        "share of negative predictions that are correct, at the prevalence of this split",
        at_threshold=True,
    ),
    "f1": Metric(
        "F1",
        "harmonic mean of precision and sensitivity",
        gate="score",
        tfma="F1Score",
        at_threshold=True,
    ),
    "brier": Metric("Brier score", "mean squared difference of score and label; lower is better"),
    "ece": Metric(
        "Calibration error",
        "expected calibration error: mean difference of score and frequency; lower is better",
    ),
    "class_accuracy": Metric(
        "Class accuracy", "share of images whose class is correct", gate="classes"
    ),
    "balanced_accuracy": Metric("Balanced accuracy", "mean recall of the classes"),
    "macro_auc": Metric("Macro AUC", "mean one-against-rest AUC of the classes", gate="classes"),
    "pairwise_auc": Metric(
        "Pairwise AUC",
        "mean AUC over pairs of classes, each among images of these two: {pair}",
        gate="classes",
    ),
    "kappa": Metric("Cohen's kappa", "agreement beyond chance; 1 is complete, 0 is chance"),
    "top_label_ece": Metric(
        "Calibration error of the class",
        "mean difference of the largest probability and how often it is correct",
    ),
    "class_brier": Metric(
        "Brier score of the classes", "summed over classes, 0 to 2; lower is better"
    ),
    "challenge": Metric(
        "Challenge score",
        "of the RSNA challenge: mean over IoU 0.40 to 0.75 of TP / (TP + FP + FN)",
        gate="boxes",
    ),
    "box_ap": Metric("Box AP", "average precision of the boxes at IoU 0.50", gate="boxes"),
    "box_map": Metric("Box AP, mean", "average precision, mean over IoU 0.40 to 0.75"),
    "froc": Metric("FROC score", "mean share of opacities found at 1/8 to 8 false boxes per image"),
    "pointing": Metric(
        "Pointing accuracy",
        "share of images with an opacity whose highest-scoring location lies on one",
        gate="boxes",
    ),
    "iou": Metric(
        "Overlap",
        "mean IoU of each marked opacity with the best overlapping box; 0 without one",
    ),
    "box_sensitivity": Metric(
        "Opacities found", "share of marked opacities that a shown box overlaps with IoU above 0.40"
    ),
    "false_boxes": Metric(
        "False boxes per image",
        "shown boxes that overlap no opacity with IoU above 0.40; lower is better",
    ),
}

# Which metrics a page shows, in this order.
HEADLINE = ("auc", "accuracy", "sensitivity", "specificity")
CLASS_HEADLINE = ("class_accuracy", "pairwise_auc")
BOX_HEADLINE = ("challenge", "pointing")
CLASSES = ("class_accuracy", "balanced_accuracy", "macro_auc", "pairwise_auc", "kappa")
BOXES = ("challenge", "box_ap", "box_map", "froc", "pointing", "box_sensitivity", "false_boxes")
HEAT = ("pointing", "iou", "challenge", "box_sensitivity", "false_boxes")
MEMBERS = ("auc", "auc_pr", "accuracy", "sensitivity", "specificity", "brier", "ece")
MEMBER_CLASSES = ("class_accuracy", "balanced_accuracy", "macro_auc", "pairwise_auc")
ON_VALIDATION = ("sensitivity", "specificity", "accuracy", "auc")
IN_SLICES = ("sensitivity", "specificity", "accuracy")
NOT_REFERRED = ("accuracy", "sensitivity", "specificity")
SHIFTED = ("auc", "sensitivity", "specificity", "specificity_at_rate", "sensitivity_at_rate")
COMPARED = ("auc", "accuracy", "sensitivity", "specificity", "ece")
CARD_HEADLINE = ("challenge", "auc", "accuracy", "sensitivity", "specificity")
CARD_SLICES = ("auc", "sensitivity", "specificity", "accuracy", "class_accuracy")

GATED = {name: metric.gate for name, metric in METRICS.items() if metric.gate}


def metric_name(metric: str) -> str:
    """Returns the display name of a metric; for an unknown one, its key with spaces.

    Metrics of one class such as `recall/VIRUS` and `auc/A|B` are named after their class.
    """
    if metric in METRICS:
        return METRICS[metric].label
    kind, _, group = metric.partition("/")
    if not group:
        return metric.replace("_", " ")
    versus = group.replace("|", " against ")
    return f"{METRICS[kind].label if kind in METRICS else kind.capitalize()}, {versus}"


def explanations(
    negative: str = "negative", positive: str = "positive", pair: Sequence[str] = ()
) -> dict[str, str]:
    """Returns the explanation of each metric, with the names of the classes filled in."""
    classes = " and ".join(pair) or "all"
    return {
        name: metric.explanation.format(negative=negative, positive=positive, pair=classes)
        for name, metric in METRICS.items()
    }
