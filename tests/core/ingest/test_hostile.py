import json
import os
import stat
from collections import Counter

import pytest

from core.images.errors import ImageError
from core.ingest.file_record import FileRecord
from core.ingest.job import ingest
from core.ingest.options import IngestOptions
from core.ingest.records.chunks import read_unchanged
from schema.files import read_lines
from tests.core.ingest.trees import LOCAL, official, records
from tests.support.images.hostile import LINKS, make_hostile, unexpected_results
from tests.support.images.hostile_files import KINDS


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    official(root / "source")
    before = sum(1 for p in (root / "source").rglob("*") if p.is_file())
    made = make_hostile(root / "source", 150, seed=1)
    summary = ingest(root / "source", root / "dest", IngestOptions(), beam_args=LOCAL)
    return root / "dest", made, before, summary


def test_every_kind_occurs(mixed):
    assert {m.kind for m in mixed[1]} == {*KINDS, *LINKS}


def test_counts_add_up(mixed):
    dest, made, before, summary = mixed
    entries = [m for m in made if m.expected != "nothing"]
    assert summary.found == before + len(entries)
    assert summary.found == summary.written + summary.rejected + sum(summary.skipped.values())
    assert summary.rejected == len(list(read_lines(dest / "rejects.jsonl")))
    assert summary.written == len(list(read_lines(dest / "manifest.jsonl")))
    assert sum(summary.skipped.values()) == sum(m.expected == "skipped" for m in made)
    assert Counter(r["reason"] for r in read_lines(dest / "rejects.jsonl")) == summary.reasons


def test_each_file_has_the_expected_result(mixed):
    dest, made, *_ = mixed
    written = {r["filename"] for r in read_lines(dest / "manifest.jsonl")}
    rejects = {r["file"]: r["reason"] for r in read_lines(dest / "rejects.jsonl")}
    assert not unexpected_results(made, written, rejects)


def test_rejects_have_one_reason_each_and_a_sentence(mixed):
    rows = list(read_lines(mixed[0] / "rejects.jsonl"))
    assert len({r["file"] for r in rows}) == len(rows)
    assert all(r["detail"] and "\n" not in r["detail"] for r in rows)


def test_the_graph_decodes_every_written_image(mixed):
    from core.images.decode_tf import decode_gray

    for record in records(mixed[0]):
        pixels = decode_gray(record["image/encoded"][0]).numpy()
        size = (record["image/height"][0], record["image/width"][0])
        name = record["image/filename"][0].decode()
        assert pixels.shape[:2] == size, name
        assert pixels.mean() == pytest.approx(record["stats/mean"][0], abs=0.6), name
        assert pixels.std() == pytest.approx(record["stats/std"][0], abs=0.6), name


def test_equal_seeds_give_equal_data_sets(tmp_path):
    a = make_hostile(tmp_path / "a", 60, seed=3)
    b = make_hostile(tmp_path / "b", 60, seed=3)
    assert a == b
    for m in a:
        one, two = tmp_path / "a" / m.path, tmp_path / "b" / m.path
        if one.exists() and stat.S_ISREG(one.stat().st_mode):
            assert one.read_bytes() == two.read_bytes()


def test_an_unreadable_path_is_rejected(tmp_path):
    info = tmp_path.stat()
    folder = FileRecord(path="", size=info.st_size, mtime_ns=info.st_mtime_ns)
    with pytest.raises(ImageError, match="unreadable"):
        read_unchanged(str(tmp_path), folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_is_one_line_of_rejects(tmp_path):
    source = official(tmp_path / "source")
    closed = source / "train/NORMAL/closed.jpeg"
    closed.write_bytes(b"x")
    closed.chmod(0)
    folder = source / "train/NORMAL/closed"
    folder.mkdir(mode=0)
    summary = ingest(source, tmp_path / "dest", IngestOptions(), beam_args=LOCAL)
    folder.chmod(0o700)
    assert summary.reasons == {"unreadable": 2}


def test_summary_equals_the_stored_one(mixed):
    stored = json.loads((mixed[0] / "dataset.json").read_text())
    assert stored == json.loads(mixed[3].model_dump_json())
