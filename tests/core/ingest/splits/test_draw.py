from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ingest.catalog.splits import SplitPatient
from core.ingest.splits.draw import draw_splits, intervals, unit_hash


def _assign(patients, seed=0, val=0.15, test=0.15):
    return dict(draw_splits(lambda: iter(patients), seed, val, test))


def _many(n, label="normal", start=0):
    return [SplitPatient(f"p{i}", label) for i in range(start, start + n)]


@given(st.integers(0, 99), st.text())
def test_unit_hash_is_stable_and_in_the_unit_interval(seed, key):
    assert 0 <= unit_hash(seed, key) < 1
    assert unit_hash(seed, key) == unit_hash(seed, key)


def test_unit_hash_never_changes():
    # A change would move the patients of every existing data set.
    assert unit_hash(0, "person-1") == pytest.approx(0.23350433138788895, abs=0)


def test_fractions_hold_within_each_label():
    patients = _many(4000, "normal") + _many(4000, "virus", 4000)
    split = _assign(patients)
    for part in (patients[:4000], patients[4000:]):
        share = Counter(split[p.key] for p in part)
        assert share["val"] / 4000 == pytest.approx(0.15, abs=0.02)
        assert share["test"] / 4000 == pytest.approx(0.15, abs=0.02)


def test_added_patients_change_no_split():
    few, many = _assign(_many(300)), _assign(_many(3000))
    assert all(many[key] == split for key, split in few.items())


def test_order_does_not_matter():
    patients = _many(50) + _many(7, "virus", 50)
    assert _assign(patients) == _assign(patients[::-1])


def test_another_seed_is_another_split():
    assert _assign(_many(200), seed=1) != _assign(_many(200), seed=2)


def test_fixed_patients_stay():
    patients = [SplitPatient(f"p{i}", "normal", "val") for i in range(20)]
    assert set(_assign(patients).values()) == {"val"}


@given(
    st.dictionaries(st.text(max_size=5), st.sampled_from(["normal", "bacteria", "virus"])),
    st.integers(0, 5),
    st.sampled_from([(0.15, 0.15), (0.15, 0.0), (0.0, 0.2), (0.01, 0.01), (0.0, 0.0)]),
)
def test_every_split_has_each_label_that_has_enough_patients(labels, seed, fractions):
    patients = [SplitPatient(key, label) for key, label in labels.items()]
    split = _assign(patients, seed, *fractions)
    assert split.keys() == labels.keys()
    wanted = set(intervals(*fractions))
    assert set(split.values()) <= wanted
    have = defaultdict(set)
    for patient in patients:
        have[patient.pathogen].add(split[patient.key])
    for label, n in Counter(labels.values()).items():
        if n >= len(wanted):
            assert have[label] == wanted


def test_a_large_set_with_tiny_fractions_still_fills_each_split():
    split = _assign(_many(500), val=1e-6, test=1e-6)
    assert Counter(split.values()) == {"train": 498, "val": 1, "test": 1}


def test_no_patients():
    assert _assign([]) == {}
