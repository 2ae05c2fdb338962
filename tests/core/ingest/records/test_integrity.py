import shutil
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from core.ingest.records.integrity import check_shards
from core.ingest.summary import read_summary
from schema.errors import PneumoError
from schema.tfrecord import frame
from tests.core.ingest.trees import run

SHARD = "train-00000-of-00001.tfrecord"


@pytest.fixture
def records(ingested, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ingested[1], tmp_path / "records"))


def message(folder: Path) -> str:
    with pytest.raises(PneumoError) as caught:
        check_shards(folder, read_summary(folder))
    text = str(caught.value)
    assert text.isprintable() and len(text) < 400
    return text


def test_unchanged_shards(ingested) -> None:
    reports: list[tuple[str, int, int]] = []
    check_shards(ingested[1], ingested[2], lambda *report: reports.append(report))
    assert {phase for phase, *_ in reports} == {"verify"}
    assert reports[-1][1] == reports[-1][2]


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(data=st.data())
def test_every_damage_names_shard_and_offset(ingested, data) -> None:
    """One byte changed, or the end cut off, at any place."""
    shard = ingested[1] / SHARD
    whole = shard.read_bytes()
    at = data.draw(st.integers(1, len(whole) - 1))
    flip = data.draw(st.integers(0, 255))
    damaged = whole[:at] if not flip else whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    try:
        shard.write_bytes(damaged)
        text = message(ingested[1])
    finally:
        shard.write_bytes(whole)
    if "changed since ingest" not in text:  # cut off exactly between two records
        assert SHARD in text
        assert int(text.split("record at byte ")[1].split(":")[0]) <= at
    else:
        assert not flip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / SHARD).unlink(), f"shard {SHARD} is missing"),
        (lambda f: (f / SHARD).rename(f / "train-00001-of-00002.tfrecord"), "00000-of-00002"),
        (lambda f: shutil.copy(f / SHARD, f / "train-00000-of-00001 (1).tfrecord"), "(1).tfrecord"),
        (lambda f: shutil.copy(f / SHARD, f / "train-00000-of-00002.tfrecord"), "not a shard of"),
        (lambda f: (f / SHARD).write_bytes(frame(b"other")), "changed since ingest"),
        (lambda f: ((f / SHARD).unlink(), (f / SHARD).mkdir()), f"{SHARD} cannot be read"),
    ],
)
def test_other_changes(records: Path, change, words: str) -> None:
    change(records)
    assert words in message(records)


def test_a_damaged_data_set_is_not_reused(ingested, tmp_path: Path) -> None:
    source, dest, _ = ingested
    copy = Path(shutil.copytree(dest, tmp_path / "d"))
    assert run(source, copy).reused
    with (copy / SHARD).open("r+b") as stream:
        stream.truncate(1000)
    with pytest.raises(PneumoError, match=f"{SHARD} is damaged: record at byte"):
        run(source, copy)
    assert not run(source, copy, overwrite=True).reused
    assert run(source, copy).reused
