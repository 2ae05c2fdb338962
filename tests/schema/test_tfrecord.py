from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import PneumoError
from schema.tfrecord import frame, read_records

RECORDS = [b"", b"a", b"\x00" * 1000, bytes(range(256)) * 300]


def _write(path: Path, records: list[bytes]) -> Path:
    with path.open("wb") as stream:
        for record in records:
            stream.write(frame(record))
    return path


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]):
    path = tmp_path_factory.mktemp("tfr") / "a"
    assert list(read_records(_write(path, records))) == records


def test_files_equal_those_of_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    ours = _write(tmp_path / "ours", RECORDS)
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(ours))] == RECORDS
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in RECORDS:
            writer.write(record)
    assert (tmp_path / "theirs").read_bytes() == ours.read_bytes()
    assert list(read_records(tmp_path / "theirs")) == RECORDS


@pytest.mark.parametrize("cut", [1, 11, 12, 13, 17, 19])
def test_truncated_files_are_errors(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a").write_bytes(frame(b"first") + frame(b"abcd")[:cut])
    with pytest.raises(PneumoError, match=r"shard .*a is damaged: record at byte 21: truncated"):
        list(read_records(tmp_path / "a"))


@pytest.mark.parametrize("at", range(20))
def test_every_flipped_byte_is_detected(tmp_path: Path, at: int) -> None:
    damaged = bytearray(frame(b"first") + frame(b"abcd"))
    damaged[21 + at] ^= 0x10
    (tmp_path / "a").write_bytes(damaged)
    with pytest.raises(PneumoError, match="record at byte 21: wrong checksum of the") as caught:
        list(read_records(tmp_path / "a"))
    assert "abcd" not in str(caught.value)
