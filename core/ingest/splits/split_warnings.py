"""Warnings about a data set whose splits are less independent than they look."""

from collections.abc import Iterable, Mapping


def unknown_patients_note(unknown: int, total: int) -> str:
    """Returns what the search for leaks cannot see; "" if every patient is known."""
    if not unknown:
        return ""
    return (
        f"{unknown} of {total} images have no known patient: each counts as a patient of its own, "
        "and the search for leaks cannot see whether one patient is in two splits; name the "
        "patients in the column patient of a manifest (--manifest)"
    )


def split_warnings(
    images: Mapping[str, int], wanted: Iterable[str], unknown: int, largest: tuple[str, int]
) -> list[str]:
    """Returns one line for each reason to distrust the splits.

    Args:
      images: split -> number of images.
      wanted: splits that should have images.
      unknown: images without a known patient.
      largest: key and number of images of the patient with most images.
    """
    total = sum(images.values())
    patient, most = largest
    warnings = [unknown_patients_note(unknown, total)]
    if empty := [split for split in wanted if not images.get(split)]:
        warnings.append(
            f"no image in {' and '.join(empty)}: add patients, or change the policy or the "
            "fractions of the split"
        )
    if total > 1 and 2 * most > total:
        warnings.append(
            f"patient {patient} has {most} of {total} images, and all of them are in one split: "
            "check the column patient of the manifest, the PatientID, or the file names"
        )
    return [warning for warning in warnings if warning]
