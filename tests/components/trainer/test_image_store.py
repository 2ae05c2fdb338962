from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.cluster import ALONE, Share
from components.trainer.image_store import SHARDS, ImageStore, Order, layout, owner, unpack
from schema.errors import PneumoError

COUNTS = st.lists(st.integers(0, 40), min_size=SHARDS, max_size=SHARDS).map(np.array)


def write(folder: Path, files: int, records: int) -> list[str]:
    folder.mkdir(exist_ok=True)
    for part in range(files):
        with tf.io.TFRecordWriter(str(folder / f"{part:02}.gz"), "GZIP") as out:
            for i in range(part, records, files):
                out.write(f"record {i}".encode() * (i % 3))
    return [str(folder / "*.gz")]


def rows(store: ImageStore) -> dict[tuple[int, int], bytes]:
    names = zip(store.shard.tolist(), store.place.tolist(), strict=True)
    return dict(zip(names, store.read(range(len(store))), strict=True))


@pytest.mark.parametrize("files", [1, 3, SHARDS, 37])
@pytest.mark.parametrize("size", [1, 2, 3, SHARDS])
def test_each_process_has_its_own_records_whoever_else_reads(
    tmp_path: Path, files: int, size: int
) -> None:
    patterns = write(tmp_path / "in", files, 50)
    whole = rows(unpack(patterns, tmp_path / "whole", ALONE))
    assert len(whole) == 50
    seen: dict[tuple[int, int], bytes] = {}
    for rank in range(size):
        own = rows(unpack(patterns, tmp_path / f"{rank}", Share(rank, size)))
        assert not own.keys() & seen.keys()
        seen |= own
    assert seen == whole


def test_a_process_opens_its_own_files_alone(tmp_path: Path) -> None:
    patterns = write(tmp_path / "in", SHARDS, 48)
    for number in range(SHARDS // 2, SHARDS):  # those of the other one
        (tmp_path / "in" / f"{number:02}.gz").write_bytes(b"not to be read")
    assert len(unpack(patterns, tmp_path / "own", Share(0, 2))) == 24


@pytest.mark.parametrize("records", [0, 1])
def test_hardly_any_records(tmp_path: Path, records: int) -> None:
    patterns = write(tmp_path / "in", 1, records)
    assert len(unpack(patterns, tmp_path / "a", Share(0, 2))) == records
    other = unpack(patterns, tmp_path / "b", Share(1, 2))
    assert other.read([]) == []
    assert len(other) == 0


def test_more_processes_than_shards(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="at most 16 processes, and TF_CONFIG names 17"):
        unpack([], tmp_path / "none", Share(3, 17))


@settings(max_examples=60)
@given(
    counts=COUNTS, batch=st.integers(1, 50), size=st.integers(1, SHARDS), epoch=st.integers(0, 9)
)
def test_batches_are_the_same_however_many_share_them(
    counts: np.ndarray, batch: int, size: int, epoch: int
) -> None:
    order = Order(counts, batch)
    whole = list(order.batches(3, epoch))
    shares = [list(order.batches(3, epoch, Share(rank, size))) for rank in range(size)]
    assert all(len(share) == len(whole) == order.steps for share in shares)
    seen = []
    for step, (shards, numbers) in enumerate(whole):
        parts = [share[step] for share in shares]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), shards)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), numbers)
        before = 0
        for rank, (own, _) in enumerate(parts):
            assert order.window(step, Share(rank, size)) == (before, len(shards))
            before += len(own)
        seen += list(zip(shards.tolist(), numbers.tolist(), strict=True))
    assert sorted(seen) == [(s, i) for s, n in enumerate(counts.tolist()) for i in range(n)]


def test_even_shards_give_even_shares() -> None:
    order = Order(np.full(SHARDS, 32), 32)
    for size in (2, 4, 8, 16):
        for rank in range(size):
            assert {
                len(of) for of, _ in order.batches(0, 0, Share(rank, size))
            } == {32 // size}  # fmt: skip


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    order = Order(np.full(SHARDS, 9), 16)

    def of(seed: int, epoch: int) -> list[int]:
        return [int(i) for _, numbers in order.batches(seed, epoch) for i in numbers]

    assert of(1, 2) == of(1, 2)
    assert len({tuple(of(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_layout_mixes_large_and_small_shards() -> None:
    counts = np.zeros(SHARDS, np.int64)
    counts[[1, 5]] = 30, 10
    found = layout(counts)
    assert [int((found[i : i + 8] == 5).sum()) for i in range(0, 40, 8)] == [2] * 5
    assert owner(np.array([0, 7, 8, 15]), 2).tolist() == [0, 0, 1, 1]
