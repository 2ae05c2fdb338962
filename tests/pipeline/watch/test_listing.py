from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest.scan import Entry
from pipeline.watch import listing
from schema.errors import PneumoError


def entry(path: str, size: int = 1, time: int = 1) -> Entry:
    return Entry(path, "file", size=size, mtime_ns=time)


BEFORE = [entry("NORMAL/IM-0001-0001.jpeg"), entry("PNEUMONIA/person1_virus_1.jpeg")]


@pytest.mark.parametrize(
    ("now", "new", "gone", "people"),
    [
        (BEFORE, 0, 0, 0),
        (BEFORE[::-1], 0, 0, 0),
        ([*BEFORE, entry("PNEUMONIA/person1_virus_2.jpeg")], 1, 0, 0),  # a patient known already
        ([*BEFORE, entry("PNEUMONIA/person2_virus_2.jpeg")], 1, 0, 1),
        (BEFORE[:1], 0, 1, 0),
        ([BEFORE[0], entry(BEFORE[1].path, size=2)], 1, 1, 0),  # written anew
        ([BEFORE[0], entry(BEFORE[1].path, time=2)], 1, 1, 0),
        ([], 0, 2, 0),
        ([*BEFORE, Entry("a.txt", "skip", "*.txt")], 0, 0, 0),
    ],
)
def test_says_what_changed(now: list[Entry], new: int, gone: int, people: int) -> None:
    known, found = listing.listing_of(BEFORE), listing.listing_of(now)

    assert len(found.without(known)) == new
    assert len(known.without(found)) == gone
    assert listing.more_people(known, found.without(known)) == people
    assert (found.key == known.key) == (new == gone == 0)


ENTRIES = st.lists(st.builds(entry, st.text(), st.integers(0), st.integers(0, 2**62)), max_size=30)


@given(ENTRIES, st.randoms())
def test_the_order_does_not_count(entries: list[Entry], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    one, other = listing.listing_of(entries), listing.listing_of(shuffled)

    assert one.key == other.key
    assert all(other.has(item) for item in entries)
    assert not one.has(entry("not there", 3, 4))


def test_a_written_listing_is_read_again(tmp_path: Path) -> None:
    found = listing.listing_of(BEFORE)
    listing.write(found, tmp_path / "a.npz")

    again = listing.read(tmp_path / "a.npz")

    assert np.array_equal(again.files, found.files)
    assert np.array_equal(again.patients, found.patients)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short"])
def test_a_listing_that_is_gone_is_empty(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)

    assert len(listing.read(tmp_path / "a.npz")) == 0


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PneumoError, match="no folder"):
        listing.look(tmp_path / "nowhere")
