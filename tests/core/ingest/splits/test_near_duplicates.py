import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.splits.near_duplicates import fullest_band, near_pairs


def _found(hashes, distance, **more):
    out = {}
    for i, j, away in near_pairs(hashes, distance, **more):
        out |= {(a, b): d for a, b, d in zip(i.tolist(), j.tolist(), away.tolist(), strict=True)}
    return out


def _all_pairs(hashes, distance):
    bits = np.unpackbits(hashes, axis=1)
    n = len(hashes)
    away = {(i, j): int((bits[i] != bits[j]).sum()) for i in range(n) for j in range(i + 1, n)}
    return {pair: d for pair, d in away.items() if d <= distance}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_up_to_two_hashes(n):
    hashes = np.zeros((n, 32), np.uint8)
    assert _found(hashes, 24) == ({(0, 1): 0} if n == 2 else {})
    assert fullest_band(hashes) == n


@given(st.integers(0, 2**32), st.integers(0, 15))
@settings(max_examples=40)
def test_finds_every_pair_up_to_15_bits(seed, distance):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (10, 32), dtype=np.uint8)
    copies = base.copy()
    for row in copies:
        for bit in rng.choice(256, rng.integers(0, 16), replace=False):
            row[bit // 8] ^= 1 << (bit % 8)
    hashes = np.concatenate([base, copies])
    assert _found(hashes, distance) == _all_pairs(hashes, distance)


def test_pairs_at_24_bits_are_rarely_missed():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (500, 32), dtype=np.uint8)
    copies = base.copy()
    for row in copies:
        for bit in rng.choice(256, 24, replace=False):
            row[bit // 8] ^= 1 << (bit % 8)
    found = _found(np.concatenate([base, copies]), 24)
    assert sum(found.get((i, i + 500)) == 24 for i in range(500)) >= 485


def test_full_band_compares_neighbors_only():
    hashes = np.zeros((400, 32), np.uint8)
    hashes[:, 16:18] = np.arange(400, dtype=np.uint16).view(np.uint8).reshape(400, 2)
    blocks = sum(len(i) for i, _, _ in near_pairs(hashes, 24, window=3))
    assert blocks <= 16 * 400 * 3
    assert fullest_band(hashes) == 400
