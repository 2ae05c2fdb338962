"""Names and explanations of metrics, the same on all pages."""

from collections.abc import Sequence

HEADLINE = ("auc", "accuracy", "sensitivity", "specificity")
BOX_HEADLINE = ("challenge", "pointing")
BOXES = ("challenge", "box_ap", "box_map", "froc", "pointing", "box_sensitivity", "false_boxes")
HEAT = ("pointing", "iou", "challenge", "box_sensitivity", "false_boxes")
CLASS_HEADLINE = ("class_accuracy", "pairwise_auc")
CLASSES = ("class_accuracy", "balanced_accuracy", "macro_auc", "pairwise_auc", "kappa")

_METRICS = {
    "auc": ("AUC", "probability that a {positive} image scores higher than a {negative} image"),
    "auc_pr": ("AUC-PR", "average precision over all thresholds"),
    "accuracy": ("Accuracy", "share of images classified correctly as {positive} or {negative}"),
    "sensitivity": ("Sensitivity", "share of {positive} images classified as {positive}"),
    "specificity": ("Specificity", "share of {negative} images classified as {negative}"),
    "precision": (
        "Precision (PPV)",
        "share of positive predictions that are correct, at the prevalence of this split",
    ),
    "npv": (
        "NPV",
        "share of negative predictions that are correct, at the prevalence of this split",
    ),
    "f1": ("F1", "harmonic mean of precision and sensitivity"),
    "brier": ("Brier score", "mean squared difference of score and label; lower is better"),
    "ece": (
        "Calibration error",
        "expected calibration error: mean difference of score and frequency; lower is better",
    ),
    "class_accuracy": ("Class accuracy", "share of images whose class is correct"),
    "balanced_accuracy": ("Balanced accuracy", "mean recall of the classes"),
    "macro_auc": ("Macro AUC", "mean one-against-rest AUC of the classes"),
    "pairwise_auc": (
        "Pairwise AUC",
        "mean AUC over pairs of classes, each among images of these two: {pair}",
    ),
    "kappa": ("Cohen's kappa", "agreement beyond chance; 1 is complete, 0 is chance"),
    "top_label_ece": (
        "Calibration error of the class",
        "mean difference of the largest probability and how often it is correct",
    ),
    "class_brier": ("Brier score of the classes", "summed over classes, 0 to 2; lower is better"),
    "challenge": (
        "Challenge score",
        "of the RSNA challenge: mean over IoU 0.40 to 0.75 of TP / (TP + FP + FN)",
    ),
    "box_ap": ("Box AP", "average precision of the boxes at IoU 0.50"),
    "box_map": ("Box AP, mean", "average precision, mean over IoU 0.40 to 0.75"),
    "froc": ("FROC score", "mean share of opacities found at 1/8 to 8 false boxes per image"),
    "pointing": (
        "Pointing accuracy",
        "share of images with an opacity whose highest-scoring location lies on one",
    ),
    "iou": (
        "Overlap",
        "mean IoU of each marked opacity with the best overlapping box; 0 without one",
    ),
    "box_sensitivity": (
        "Opacities found",
        "share of marked opacities that a shown box overlaps with IoU above 0.40",
    ),
    "false_boxes": (
        "False boxes per image",
        "shown boxes that overlap no opacity with IoU above 0.40; lower is better",
    ),
}
LEAKS = {
    "exact_across_splits": ("Same pixels in two splits", "the image was also used in training"),
    "near_across_splits": ("Near-duplicates in two splits", "as above, for resized copies"),
    "patients_in_two_splits": ("Patients in two splits", "by the patient key in the file name"),
    "contradictory": ("Same pixels, different labels", "one of the labels is wrong"),
    "exact_within_split": ("Same pixels twice in one split", "not a leak; each copy counts"),
    "near_within_split": ("Near-duplicates in one split", "not a leak; each copy counts"),
}


def metric_name(metric: str) -> str:
    """Returns the display name of a metric; of an unknown one its key with spaces.

    Per-class metrics such as `recall/VIRUS` and `auc/A|B` are named after their class.
    """
    if metric in _METRICS:
        return _METRICS[metric][0]
    kind, _, group = metric.partition("/")
    if not group:
        return metric.replace("_", " ")
    versus = group.replace("|", " against ")
    return f"{_METRICS[kind][0] if kind in _METRICS else kind.capitalize()}, {versus}"


def explanations(
    negative: str = "negative", positive: str = "positive", pair: Sequence[str] = ()
) -> dict[str, str]:
    """Returns the explanation of each metric."""
    classes = " and ".join(pair) or "all"
    return {
        name: text.format(negative=negative, positive=positive, pair=classes)
        for name, (_, text) in _METRICS.items()
    }
