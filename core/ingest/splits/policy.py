"""Chooses the split policy and assigns a split to every usable file."""

from core.ingest.catalog.database import Catalog
from core.ingest.options import IngestOptions
from core.ingest.splits.draw import draw_splits
from schema.errors import PneumoError


def choose_policy(catalog: Catalog, layout: str, options: IngestOptions) -> str:
    """Resolves `auto`, and rejects files without an official split if the policy needs one.

    Raises:
      PneumoError: the policy needs official splits that the source lacks.
    """
    official = catalog.splits.official()
    policy: str = options.split
    if policy == "auto":
        if layout == "manifest" and {"train", "val", "test"} <= official:
            policy = "given"
        else:
            policy = "given_patient_val" if {"train", "test"} <= official else "patient"
    if policy == "patient":
        return policy
    needed = {"train", "test"} if policy == "given_patient_val" else {"train"}
    if not needed <= official:
        raise PneumoError(
            f"split policy {policy} needs {' and '.join(sorted(needed))} in the source, found "
            f"{', '.join(sorted(official - {''})) or 'no splits'}; set the policy "
            "patient (`pneumo ingest --split patient`, data.ingest.split)"
        )
    for path in catalog.files.without_official_split():
        catalog.files.reject(path, "no_split", policy)
    return policy


def wanted_splits(policy: str, options: IngestOptions) -> list[str]:
    """Returns the splits that a policy should fill; a fraction of 0 asks for none."""
    fractions = {"val": options.val_fraction, "test": options.test_fraction}
    if policy == "patient":
        return ["train", *(split for split, fraction in fractions.items() if fraction)]
    return ["train", "val", "test"]


def assign_splits(catalog: Catalog, policy: str, options: IngestOptions) -> None:
    """Assigns the split of every usable file; see core.ingest.splits.draw."""
    splits = catalog.splits
    splits.separate_equal_names(options.near_duplicate_distance)
    if policy == "given":
        splits.use_official()
        return
    keep_official = policy == "given_patient_val"
    splits.collect_patients(keep_official)
    test = 0.0 if keep_official else options.test_fraction
    drawn = draw_splits(splits.patients, options.seed, options.val_fraction, test)
    splits.assign(drawn, keep_official)
