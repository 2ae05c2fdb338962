"""The StressTest node with a small SavedModel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.predictions.stress_test import CONDITIONS, METRICS
from schema import features as f
from schema.errors import PneumoError
from tests.support import records
from tests.support.models.exported import SIZE, THRESHOLD, Exported


@pytest.fixture
def run(exported: Exported, tmp_path: Path) -> dict[str, Any]:
    """Input artifacts: what Transform wrote for val, and the model."""
    import tensorflow as tf
    from tfx.types import artifact_utils, standard_artifacts

    from components.artifacts import CorruptionResults

    examples, model, results = (
        standard_artifacts.Examples(),
        standard_artifacts.Model(),
        CorruptionResults(),
    )
    for artifact, name in ((examples, "examples"), (model, "model"), (results, "results")):
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
    (tmp_path / "model" / "Format-Serving").symlink_to(exported.folder)
    examples.split_names = artifact_utils.encode_split_names(["train", "val"])
    folder = tmp_path / "examples" / "Split-val"
    folder.mkdir()
    for part in (0, 1):
        with tf.io.TFRecordWriter(str(folder / f"data-{part}.gz"), "GZIP") as out:
            for row in exported.transformed[part::2]:
                values = {
                    name: value[0] if name not in f.BOX_EDGES and isinstance(value, list) else value
                    for name, value in row.items()
                }
                out.write(
                    records.example({k: v if v is not None else () for k, v in values.items()})
                )
    return {"examples": examples, "model": model, "results": results}


def call(run: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    from components.stress_test.component import FILE, StressTest

    StressTest.test_call(**run, **{"resamples": 100, **parameters})
    return dict(json.loads((Path(run["results"].uri) / FILE).read_text()))


def test_every_condition_is_measured(run: dict[str, Any]) -> None:
    found = call(run, batch_size=3)
    assert [(row["corruption"], row["level"]) for row in found["corruptions"]] == list(CONDITIONS)
    assert found["threshold"] == THRESHOLD
    assert found["images"] == found["labeled"] > found["positives"] > 0
    for row in found["corruptions"]:
        assert set(row["metrics"]) == set(row["drops"]) == set(METRICS)
        for name in METRICS:
            estimate = found["uncorrupted"][name]["estimate"] - row["metrics"][name]["estimate"]
            assert row["drops"][name]["estimate"] == pytest.approx(estimate)


def test_images_without_corruption_score_as_their_files(
    exported: Exported, run: dict[str, Any]
) -> None:
    import tensorflow as tf

    from components.examples import split_files
    from components.stress_test.component import _read_images, _score

    signature = tf.saved_model.load(str(exported.folder)).signatures["examples"]
    expected = signature(tf.constant(exported.examples))["score"].numpy()
    files = split_files(run["examples"], "val")
    everything = np.ones(len(exported.examples), bool)
    found: dict[str, float] = {}
    for pixels, names in _read_images(files, everything, SIZE, 4):
        assert pixels.shape[1:] == (SIZE, SIZE)
        found |= dict(zip(names, _score(signature, pixels).tolist(), strict=True))
    order = [row[f.IMAGE_SHA256][0].decode() for row in exported.transformed]
    assert [found[name] for name in order] == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_number_of_images_is_limited(run: dict[str, Any]) -> None:
    few, every = call(run, images=5), call(run)
    assert few["images"] <= 5 < every["images"]
    assert few["labeled"] == every["labeled"]


def test_no_labeled_image_is_an_error(run: dict[str, Any]) -> None:
    for file in Path(run["examples"].uri, "Split-val").glob("*.gz"):
        file.unlink()
    with pytest.raises(PneumoError, match="no validation image can be used; 0 have"):
        call(run)
