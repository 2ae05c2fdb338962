from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.scorer.component import Scorer, score
from core.predictions import table
from schema.labels import PATHOGENS, THREE_CLASS
from tests.support.models.exported import MEMBERS, Exported

COLUMNS = table.schema().names


def test_every_record_is_scored_once_whatever_the_batch(
    exported: Exported,
    tmp_path: Path,
) -> None:
    files = []
    for i, part in enumerate((exported.examples[:5], exported.examples[5:])):
        files.append(str(tmp_path / f"{i}.gz"))
        with tf.io.TFRecordWriter(files[-1], tf.io.TFRecordOptions(compression_type="GZIP")) as out:
            for example in part:
                out.write(example)
    model = tf.saved_model.load(str(exported.folder))
    for batch in (1, 4, 100):
        folder = tmp_path / str(batch)
        folder.mkdir()
        rows = table.write(folder / table.FILE, score(model, files, THREE_CLASS, batch))
        assert rows == len(exported.examples)
    one, many = (table.read(tmp_path / name / table.FILE).to_pydict() for name in ("1", "100"))
    assert one["sha256"] == many["sha256"]
    assert len(set(one["sha256"])) == rows
    np.testing.assert_allclose(one["score"], many["score"], atol=1e-6)
    by_name = [PATHOGENS[int(name.rsplit("-", 1)[1]) % len(PATHOGENS)] for name in one["filename"]]
    assert one["pathogen"] == by_name
    assert one["label"] == [THREE_CLASS.class_of(name, 0) for name in by_name]
    assert one["positive"] == [THREE_CLASS.binary_label(name, 0) for name in by_name]
    assert one["height"] == [61] * rows
    assert one["brightness"] == [120.0] * rows
    assert [len(members) for members in one["members"]] == [3 * MEMBERS] * rows


def test_no_batches_make_an_empty_table(tmp_path: Path) -> None:
    assert table.write(tmp_path / table.FILE, iter(())) == 0
    assert table.read(tmp_path / table.FILE).num_rows == 0
    assert table.read(tmp_path / table.FILE).column_names == COLUMNS


def test_a_failure_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def batches() -> object:
        yield {name: [] for name in COLUMNS}
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        table.write(tmp_path / table.FILE, batches())
    assert not (tmp_path / table.FILE).exists()


def test_an_empty_baseline_is_not_asked(exported: Exported, tmp_path: Path) -> None:
    """What a Baseline leaves that found nothing; one that found the model itself answers as it."""
    from tfx.types import artifact_utils, standard_artifacts

    from components.artifacts import Predictions

    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["test"])
    split = tmp_path / "examples" / "Split-test"
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(
        str(split / "data.gz"), tf.io.TFRecordOptions(compression_type="GZIP")
    ) as out:
        for example in exported.examples:
            out.write(example)
    written = {}
    for name in ("empty", "found"):
        model, baseline, predictions = (
            standard_artifacts.Model(),
            standard_artifacts.Model(),
            Predictions(),
        )
        for artifact, what in ((model, "model"), (baseline, "baseline"), (predictions, "out")):
            artifact.uri = str(tmp_path / name / what)
            Path(artifact.uri).mkdir(parents=True)
        (Path(model.uri) / "Format-Serving").symlink_to(exported.folder)
        if name == "found":
            (Path(baseline.uri) / "Format-Serving").symlink_to(exported.folder)
        marker = f'{{"found": {str(name == "found").lower()}}}'
        (Path(baseline.uri) / "found.json").write_text(marker)
        Scorer.test_call(
            examples=examples,
            model=model,
            baseline_model=baseline,
            predictions=predictions,
            split="test",
            batch_size=4,
        )
        written[name] = Path(predictions.uri)
    assert not (written["empty"] / table.BASELINE).exists()
    one, other = (table.read(written["found"] / name) for name in (table.FILE, table.BASELINE))
    assert one.to_pydict() == other.to_pydict()
