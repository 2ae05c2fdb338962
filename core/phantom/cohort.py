"""Assigns images to patients and patients to splits."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from schema.features import SPLITS
from schema.labels import BACTERIA, NORMAL, VIRUS

# Shares of images, similar to the public data set.
MIX: Final = {NORMAL: 0.27, BACTERIA: 0.46, VIRUS: 0.27}
TEST_SHARE: Final = 0.15
VAL_IMAGES: Final = 16
FOLDERS: Final = {NORMAL: "NORMAL", BACTERIA: "PNEUMONIA", VIRUS: "PNEUMONIA"}
_IMAGES_OF_A_PATIENT: Final = ((1, 0.66), (2, 0.24), (3, 0.10))


@dataclass(frozen=True)
class SyntheticPatient:
    """A synthetic patient.

    Attributes:
      index: running number, from 0.
      pathogen: the class.
      first: index of the first image.
      images: number of images, 1 to 3.
    """

    index: int
    pathogen: str
    first: int
    images: int


def patients(seed: int) -> Iterator[SyntheticPatient]:
    """Yields the patients of a seed, without end."""
    counts = dict.fromkeys(MIX, 0)  # images
    patient_counts = dict.fromkeys(MIX, 0)  # patients
    total, index = 0, 0
    while True:
        rng = np.random.default_rng([seed, 0, index])
        # The class that lacks most images is next, with random jitter.
        lack = {name: share * (total + 1) - counts[name] for name, share in MIX.items()}
        jitter = dict(zip(MIX, rng.uniform(0, 0.5, len(MIX)), strict=True))
        pathogen = max(MIX, key=lambda name: lack[name] + jitter[name])
        sizes, shares = zip(*_IMAGES_OF_A_PATIENT, strict=True)
        images = int(rng.choice(sizes, p=shares))
        if patient_counts[pathogen] < len(SPLITS):
            images = 1  # so that 24 images are enough for all classes in all splits
        yield SyntheticPatient(index, pathogen, total, images)
        counts[pathogen] += images
        patient_counts[pathogen] += 1
        total += images
        index += 1


def cohort(seed: int, n: int) -> list[tuple[SyntheticPatient, str]]:
    """Returns the patients of the first `n` images with their splits.

    The first patient of each class goes to train, the second to test, the third to val. Later ones
    fill test up to its share and val up to its number of images. The last patient may be truncated.

    Args:
      seed: seed of the data set.
      n: number of images, at least 1.

    Returns:
      (patient, split) in the order of the images.
    """
    val_goal = min(VAL_IMAGES, max(3, n // 20))
    parts = np.diff(np.round(np.cumsum([0, *MIX.values()]) * val_goal)).astype(int)
    val_parts = {name: max(1, int(part)) for name, part in zip(MIX, parts, strict=True)}
    filled = {name: dict.fromkeys(SPLITS, 0) for name in MIX}
    chosen: list[tuple[SyntheticPatient, str]] = []
    for patient in patients(seed):
        if patient.first >= n:
            return chosen
        kept = min(patient.images, n - patient.first)
        patient = SyntheticPatient(patient.index, patient.pathogen, patient.first, kept)  # noqa: PLW2901
        have = filled[patient.pathogen]
        so_far = sum(have.values())
        val_room = val_parts[patient.pathogen] - have["val"]
        if so_far == 0:
            split = "train"
        elif have["test"] < TEST_SHARE * (so_far + kept) and (
            have["test"] + kept <= have["train"]  # in a small set one patient could fill test
        ):
            split = "test"
        elif have["val"] == 0 or (kept <= val_room and have["train"] > 2 * have["val"]):
            split = "val"
        else:
            split = "train"
        have[split] += kept
        chosen.append((patient, split))
    raise AssertionError("patients() is endless")


def file_name(patient: SyntheticPatient, k: int) -> str:
    """Returns the file name of the k-th image (from 0), in the style of the public data set."""
    if patient.pathogen == NORMAL:
        return f"synthetic-IM-{patient.index + 1:04d}-{k + 1:04d}.jpeg"
    return f"synthetic-person{patient.index + 1}_{patient.pathogen}_{patient.first + k + 1}.jpeg"


def relative_path(patient: SyntheticPatient, k: int, split: str) -> str:
    """Returns the path of an image below `chest_xray`, with "/"."""
    return f"{split}/{FOLDERS[patient.pathogen]}/{file_name(patient, k)}"


def synthetic_id(seed: int, patient: SyntheticPatient) -> str:
    """Returns a patient id that reveals neither order nor class."""
    digest = hashlib.sha256(f"{seed}/{patient.index}".encode()).hexdigest()
    return f"synthetic-{digest[:8]}-{digest[8:20]}"
