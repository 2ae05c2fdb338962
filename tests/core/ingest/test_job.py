"""Complete runs on small trees."""

import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from core.ingest.job import ingest, read_summary
from core.ingest.options import IngestOptions
from schema.errors import PneumoError
from schema.example import decode
from schema.tfrecord import read_records
from tests.core.ingest.trees import (
    LOCAL,
    files_below,
    jpeg,
    official,
    put,
    rows,
    run,
    split_of,
    write,
)


def test_files_of_the_data_set(ingested):
    _, dest, summary = ingested
    assert sorted(path.name for path in dest.iterdir()) == [
        "dataset.json",
        "leakage.json",
        "manifest.jsonl",
        "rejects.jsonl",
        "test-00000-of-00001.tfrecord",
        "train-00000-of-00001.tfrecord",
        "val-00000-of-00001.tfrecord",
    ]
    assert sorted(p.name for p in dest.parent.iterdir()) == ["dest", "source"]
    assert read_summary(dest) == summary
    assert (summary.found, summary.written, summary.rejected) == (58, 58, 0)
    assert (summary.policy, summary.layout, summary.synthetic) == (
        "given_patient_val",
        "split_class",
        False,
    )


def test_records_manifest_and_source_agree(ingested):
    import tensorflow as tf

    source, dest, summary = ingested
    lines = {(row["shard"], row["index"]): row for row in rows(dest)}
    assert len(lines) == summary.written
    for shard in sorted(dest.glob("*.tfrecord")):
        records = list(read_records(shard))
        assert [r.numpy() for r in tf.data.TFRecordDataset(str(shard))] == records
        for index, record in enumerate(records):
            row, features = lines[shard.name, index], decode(record)
            assert features["image/encoded"] == [(source / row["filename"]).read_bytes()]
            for name, key in (
                ("image/filename", "filename"),
                ("image/sha256", "sha256"),
                ("image/format", "format"),
                ("image/source", "source"),
                ("patient_id", "patient_id"),
                ("pathogen", "pathogen"),
            ):
                assert features[name] == [row[key].encode()]
            assert features["image/height"] == [row["height"]] == [64]
            assert features["stats/mean"][0] == pytest.approx(row["stats"]["stats/mean"])
            assert features["box/ymin"] == []
            assert row["split"] == shard.name.split("-")[0]
    assert {s: sum(c.values()) for s, c in summary.splits.items()} == Counter(
        row["split"] for row in lines.values()
    )


def test_records_fit_the_schema(ingested):
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(Path("schema/schema.pbtxt").read_text(), schema_pb2.Schema())
    features = decode(next(read_records(ingested[1] / "train-00000-of-00001.tfrecord")))
    assert features.keys() == {feature.name for feature in schema.feature}
    kinds = {schema_pb2.BYTES: bytes, schema_pb2.INT: int, schema_pb2.FLOAT: float}
    for feature in schema.feature:
        values = features[feature.name]
        assert all(isinstance(value, kinds[feature.type]) for value in values), feature.name
        assert len(values) == (0 if feature.name.startswith("box/") else 1)


def test_official_test_is_kept_and_val_is_by_patient(ingested):
    split = split_of(ingested[1])
    assert all(s == "test" for name, s in split.items() if name.startswith("test/"))
    assert all(s == "val" for name, s in split.items() if name.startswith("val/"))
    # Patients of the official val have no image in train.
    assert split["train/NORMAL/IM-0003-0001.jpeg"] == "val"
    assert split["train/PNEUMONIA/person5_bacteria_10.jpeg"] == "val"
    patients = defaultdict(set)
    for row in rows(ingested[1]):
        patients[row["patient_id"]].add(row["split"])
    assert all(len(splits) == 1 for splits in patients.values())
    assert set(split.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    "args",
    [
        ("--direct_running_mode=in_memory", "--direct_num_workers=1"),
        ("--direct_running_mode=multi_threading", "--direct_num_workers=2"),
        ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
        (),
    ],
    ids=lambda args: "-".join(a.split("=")[1] for a in args) or "default",
)
def test_output_does_not_depend_on_the_workers(tmp_path, args):
    source = official(tmp_path / "source", patients=30)
    run(source, tmp_path / "one", images_per_shard=20)
    run(source, tmp_path / "two", images_per_shard=20, args=args)
    one, two = files_below(tmp_path / "one"), files_below(tmp_path / "two")
    assert one == two
    assert len([name for name in one if name.startswith("train")]) > 2


def test_output_does_not_depend_on_the_path_of_the_source(ingested, tmp_path):
    source, dest, _ = ingested
    shutil.copytree(source, tmp_path / "elsewhere")
    run(tmp_path / "elsewhere", tmp_path / "dest")
    assert files_below(tmp_path / "dest") == files_below(dest)


def test_seed_changes_order_and_split(ingested, tmp_path):
    source, dest, summary = ingested
    other = run(source, tmp_path / "dest", seed=1)
    assert other.content_sha256 != summary.content_sha256
    assert split_of(tmp_path / "dest") != split_of(dest)
    names = [row["filename"] for row in rows(dest)]
    assert names != sorted(names)


def test_added_images_change_no_split(tmp_path):
    source = official(tmp_path / "source")
    run(source, tmp_path / "before", split="patient")
    write(source, [f"train/NORMAL/IM-{n}-0001.jpeg" for n in range(500, 540)], first_seed=500)
    run(source, tmp_path / "after", split="patient")
    before, after = split_of(tmp_path / "before"), split_of(tmp_path / "after")
    assert len(after) == len(before) + 40
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("files", "dest", "options", "message"),
    [
        (None, "d", {}, "does not exist"),
        ([], "d", {}, "no JPEG, PNG or DICOM file below it"),
        (["a/x.jpeg"], "d", {}, "no class folder such as NORMAL or train/NORMAL among a; name"),
        (["NORMAL/x.jpeg"], "d", {"split": "given"}, "needs train in the source, found no splits"),
        (["NORMAL/x.jpeg"], "d", {"layout": "split_class"}, "no folders train/NORMAL"),
        (["train/NORMAL/x.jpeg"], "d", {"split": "given_patient_val"}, "needs test and train"),
        (["NORMAL/x.jpeg"], "s/d", {}, "overlap"),
        (["NORMAL/x.jpeg"], "s", {}, "overlap"),
        (["NORMAL/x.jpeg"], ".", {}, "overlap"),
        (["NORMAL/x.jpeg"], "file", {}, "is a file"),
        (["NORMAL/x.jpeg"], "d", {"manifest": "none.csv"}, "none.csv does not exist"),
    ],
)
def test_invalid_input(tmp_path, files, dest, options, message):
    if files is not None:
        (tmp_path / "s").mkdir()
        write(tmp_path / "s", files)
    put(tmp_path / "file", b"")
    with pytest.raises(PneumoError, match=message) as caught:
        run(tmp_path / "s", tmp_path / dest, **options)
    assert "\n" not in str(caught.value)


def test_source_is_a_file(tmp_path):
    put(tmp_path / "a.zip", b"PK")
    with pytest.raises(PneumoError, match="unpack it"):
        run(tmp_path / "a.zip", tmp_path / "d")


def test_no_usable_image(tmp_path):
    put(tmp_path / "s/NORMAL/a.jpeg", b"")
    with pytest.raises(
        PneumoError, match=re.escape("(empty 1); the first: NORMAL/a.jpeg: 0 bytes; see")
    ) as caught:
        run(tmp_path / "s", tmp_path / "d")
    assert Path(str(caught.value).rpartition("see ")[2]).is_file()
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"version": 1}'])
def test_read_summary_of_an_invalid_data_set(tmp_path, content):
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(PneumoError, match=r"dataset\.json"):
        read_summary(tmp_path)


def test_synthetic_sources_are_marked(tmp_path):
    source = official(tmp_path / "s")
    put(source / "SYNTHETIC.txt", b"phantoms")
    summary = run(source, tmp_path / "d")
    assert summary.synthetic
    assert summary.skipped == {"*.txt": 1}


def test_one_phantom_marks_the_data_set_as_synthetic(tmp_path):
    source = official(tmp_path / "s")
    assert not run(source, tmp_path / "before").synthetic
    put(source / "train" / "NORMAL" / "synthetic-IM-0007-0001.jpeg", jpeg(999))
    assert run(source, tmp_path / "after").synthetic


def test_progress_reports_every_phase(tmp_path):
    calls = []
    ingest(
        official(tmp_path / "s"),
        tmp_path / "d",
        IngestOptions(),
        beam_args=LOCAL,
        progress=lambda *call: calls.append(call),
    )
    last = {phase: (done, total) for phase, done, total in calls}
    assert last["check"] == (58, 58)
    assert last["write"] == (58, 58)
    assert all(done <= total or not total for _, done, total in calls)


def test_paths_may_be_texts(ingested, tmp_path):
    source, dest, summary = ingested
    again = ingest(str(source), str(dest), IngestOptions())
    assert again.reused
    assert again.written == summary.written == read_summary(str(dest)).written


@pytest.mark.parametrize("name", ["run [v2] *?", "k=v 100% #1", "é ü\\"])
def test_folders_of_any_name(tmp_path, name):
    source = official(tmp_path / name / "source", patients=4)
    summary = run(source, tmp_path / name / "records")
    assert summary.written == summary.found
    assert run(source, tmp_path / name / "records").reused
