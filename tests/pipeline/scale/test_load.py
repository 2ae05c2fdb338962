import numpy as np
import pytest

from benchmarks.scale_stubs import hashes
from components.ingest.near import near_pairs
from pipeline.scale import load as loads
from pipeline.scale.load import TERMS, Load, band_pairs


@pytest.mark.parametrize("n", [0, 1, 2, 1000, 10**6, 10**9])
def test_no_term_is_negative_or_without_bound(n: int) -> None:
    load = Load(n, 1.0, 100.0, 0.09, 5.7, 2048, 3)

    for term in TERMS.values():
        assert 0 <= term(load) < 1e16


@pytest.mark.parametrize("term", sorted(set(TERMS) - {"fixed", "one_megapixel", "one_gmac"}))
def test_terms_grow_with_the_images(term: str) -> None:
    few, many = (TERMS[term](Load(n, 1.0, 100.0, 0.09, 5.7, 2048, 3)) for n in (10**4, 10**5))

    assert many > few


def test_pairs_are_those_that_the_search_compares() -> None:
    """Every pair within 256 bits is one that was compared."""
    n = 3000
    found = hashes(n, np.full(256, loads.RARER, np.float32))
    compared = sum(len(i) for i, _, _ in near_pairs(found, 256))

    assert band_pairs(n) == pytest.approx(compared, rel=0.1)


def test_pairs_are_linear_once_the_window_is_full() -> None:
    few, many = band_pairs(10**9), band_pairs(10**10)

    assert 9.9 < many / few < 12
    assert many <= 10**10 * loads.BANDS * loads.WINDOW


def test_the_window_is_that_of_the_search() -> None:
    from components.ingest import leakage, near

    assert (leakage.WINDOW, near.BANDS) == (loads.WINDOW, loads.BANDS)
