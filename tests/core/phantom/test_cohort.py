from collections import Counter
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.phantom.cohort import MIX, VAL_IMAGES, cohort, file_name, patients
from schema.features import SPLITS


def per_split(seed: int, n: int) -> dict[str, Counter]:
    counts: dict[str, Counter] = {split: Counter() for split in SPLITS}
    for patient, split in cohort(seed, n):
        counts[split][patient.pathogen] += patient.images
    return counts


@given(seed=st.integers(0, 10**6), n=st.integers(1, 400))
def test_every_image_has_exactly_one_patient(seed: int, n: int) -> None:
    images = [p.first + k for p, _ in cohort(seed, n) for k in range(p.images)]
    assert images == list(range(n))


@example(seed=4575, n=24)  # a patient of three images could make test larger than train
@given(seed=st.integers(0, 10**6), n=st.integers(24, 400))
def test_every_class_is_in_every_split_from_24_images_on(seed: int, n: int) -> None:
    counts = per_split(seed, n)
    assert all(counts[split][name] > 0 for split in SPLITS for name in MIX)
    assert counts["train"].total() > counts["test"].total() > 0
    assert counts["val"].total() <= VAL_IMAGES


@given(seed=st.integers(0, 10**6), n=st.integers(1, 200), more=st.integers(1, 100))
def test_longer_set_starts_with_the_shorter(seed: int, n: int, more: int) -> None:
    def names(count: int) -> list[str]:
        return [file_name(p, k) for p, _ in cohort(seed, count) for k in range(p.images)]

    assert names(n + more)[:n] == names(n)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mix_and_shares(seed: int) -> None:
    counts = per_split(seed, 1000)
    total = sum(counts.values(), Counter())
    for name, share in MIX.items():
        assert total[name] / 1000 == pytest.approx(share, abs=0.01)
    assert counts["val"].total() == VAL_IMAGES
    assert counts["test"].total() / 1000 == pytest.approx(0.15, abs=0.02)


def test_patients_have_one_to_three_images() -> None:
    sizes = Counter(p.images for p in islice(patients(0), 300))
    assert set(sizes) == {1, 2, 3}
    assert sizes[1] > sizes[2] > sizes[3]
