"""Names and explanations that the pages share; those of metrics are in core.metrics.registry."""

LEAKS = {
    "exact_across_splits": ("Same pixels in two splits", "the image was also used in training"),
    "near_across_splits": ("Near-duplicates in two splits", "as above, for resized copies"),
    "patients_in_two_splits": ("Patients in two splits", "by the patient key in the file name"),
    "contradictory": ("Same pixels, different labels", "one of the labels is wrong"),
    "exact_within_split": ("Same pixels twice in one split", "not a leak; each copy counts"),
    "near_within_split": ("Near-duplicates in one split", "not a leak; each copy counts"),
}
