"""What each number is called and says, in the terms of the task."""

LEAKS = {
    "exact_across_splits": ("Same pixels in two splits", "the test would ask what training told"),
    "near_across_splits": ("Near duplicates in two splits", "the same, for copies of other size"),
    "patients_in_two_splits": ("Patients in two splits", "by the key taken from the file name"),
    "contradictory": ("Same pixels, different label", "one of the labels is wrong"),
    "exact_within_split": ("Same pixels twice in one split", "no leak; each copy counts"),
    "near_within_split": ("Near duplicates in one split", "no leak; each copy counts"),
}
HEADLINE = ("auc", "accuracy", "sensitivity", "specificity")
CLASS_HEADLINE = ("class_accuracy", "pairwise_auc")


def a(name: str) -> str:
    """A name with its article."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def words(
    negative: str = "negative", positive: str = "positive", pair: list[str] | None = None
) -> dict[str, tuple[str, str]]:
    """Metric -> name and explanation.

    Args:
      negative: name of the negative side.
      positive: name of the positive side.
      pair: classes of pairwise_auc.
    """
    among = " and ".join(pair or ["each pair of classes"])
    return {
        "auc": ("AUC", f"chance that {a(positive)} image scores above {a(negative)} one"),
        "auc_pr": ("AUC-PR", "average precision over all thresholds"),
        "accuracy": ("Accuracy", f"share of images on the right side, {negative} or not"),
        "sensitivity": ("Sensitivity", f"share of {positive} images that are found"),
        "specificity": ("Specificity", f"share of {negative} images that are left in peace"),
        "precision": ("Precision (PPV)", "share of alarms that are right, at this split's mix"),
        "npv": ("NPV", "share of all-clears that are right, at this split's mix"),
        "f1": ("F1", "harmonic mean of precision and sensitivity"),
        "brier": ("Brier score", "squared distance of score and truth; lower is better"),
        "ece": ("Calibration error", "expected distance of score and frequency; lower is better"),
        "class_accuracy": ("Class accuracy", "share of images whose class is right"),
        "balanced_accuracy": ("Balanced accuracy", "mean recall of the classes"),
        "macro_auc": ("Macro AUC", "mean area of each class against the rest"),
        "pairwise_auc": (
            f"AUC {' / '.join(pair)}" if pair else "Pairwise AUC",
            f"mean area among images of {among}" if not pair or len(pair) > 2
            else f"area among images of {among} alone",
        ),
        "kappa": ("Cohen's kappa", "agreement beyond chance; 1 is full, 0 is chance"),
        "top_label_ece": (
            "Calibration error of the class",
            "distance of the largest probability and how often that class is right",
        ),
        "challenge": (
            "Challenge score",
            "of the RSNA challenge: mean over overlaps 0.40 to 0.75 of TP / (TP + FP + FN)",
        ),
        "box_ap": ("Box AP", "average precision of all boxes at overlap 0.50, at any threshold"),
        "box_map": ("Box AP, mean", "the same, mean over overlaps 0.40 to 0.75"),
        "froc": ("FROC score", "mean share of opacities found at 1/8 to 8 false boxes per image"),
        "pointing": (
            "Pointing accuracy",
            "share of images with an opacity in which the surest box is centred on one",
        ),
        "box_sensitivity": (
            "Opacities found",
            "share of marked opacities that a box above the threshold overlaps by more than 0.40",
        ),
        "false_boxes": (
            "False boxes per image",
            "boxes above the threshold that overlap no opacity so; lower is better",
        ),
        "class_brier": ("Brier score of the classes", "summed over classes, 0 to 2"),
    }  # fmt: skip
