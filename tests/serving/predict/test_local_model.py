import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.images.rules import CONTENT_STATUSES, STATUS_MESSAGES
from schema.errors import PneumoError
from schema.model_folder import newest_version
from serving.predict.input_files import stream_files
from serving.predict.local_model import load_model, predict_files
from serving.predict.prediction import to_prediction
from tests.support.images.radiographs import chest, mask, photograph
from tests.support.models.exported import Exported


@pytest.fixture
def folder(exported: Exported, tmp_path: Path) -> Path:
    for i, content in enumerate(exported.contents):
        suffix = "png" if content.startswith(b"\x89PNG") else "jpeg"
        (tmp_path / f"{i:02}.{suffix}").write_bytes(content)
    return tmp_path


def test_predictions_in_order_whatever_the_batch(exported: Exported, folder: Path) -> None:
    model = load_model(str(exported.folder))
    files = list(stream_files([folder]))
    one = list(predict_files(model, map(str, files), 1))
    many = list(predict_files(model, files, 7))
    assert [p.file for p in one] == [str(file) for file in files] == [p.file for p in many]
    for a, b in zip(one, many, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-6)
        assert sum(a.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_broken_files_fail_alone_without_a_second_call(exported: Exported, folder: Path) -> None:
    expected = {
        "05a.jpeg": (b"", "empty"),
        "05b.jpeg": (b"<html></html>", "not a JPEG or PNG"),
        "05c.jpeg": (exported.contents[0][:200], "truncated"),
    }
    for name, (content, _) in expected.items():
        (folder / name).write_bytes(content)
    model = load_model(exported.folder)
    serve = model.loaded.signatures["serving_default"]
    calls: list[int] = []

    def counting(image_bytes: Any) -> Any:
        calls.append(len(image_bytes))
        return serve(image_bytes=image_bytes)

    counted = SimpleNamespace(signatures={"serving_default": counting})
    files = list(stream_files([folder]))
    predictions = list(predict_files(replace(model, loaded=counted), files, 8))
    assert len(predictions) == len(files) == sum(calls)
    assert len(calls) == -(-len(files) // 8)
    failed = [prediction for prediction in predictions if prediction.error]
    assert [Path(prediction.file).name for prediction in failed] == list(expected)
    for prediction, (_, reason) in zip(failed, expected.values(), strict=True):
        assert reason in prediction.error
        assert (prediction.decision, prediction.abstained, prediction.score) == (
            "REJECTED",
            True,
            None,
        )
        assert prediction.probabilities == {}
    assert failed[0].to_dict() == {
        "file": failed[0].file,
        "decision": "REJECTED",
        "abstained": True,
        "status": "EMPTY",
        "error": "the file is empty",
    }


@pytest.mark.parametrize("status", STATUS_MESSAGES)
def test_every_status_has_a_message(status: str) -> None:
    assert (STATUS_MESSAGES[status] == "") == (status == "OK")
    if status != "OK":
        row = {"status": status}
        assert to_prediction("x.png", row).reason == STATUS_MESSAGES[status]
        if status not in CONTENT_STATUSES:
            assert to_prediction("x.png", row | {"reason": "3 x 4"}).error == "3 x 4"


def test_a_model_of_the_old_signature_is_one_line(tmp_path: Path) -> None:
    import tensorflow as tf

    class Old(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"score": tf.zeros(tf.shape(image_bytes))}

    old = Old()
    tf.saved_model.save(old, str(tmp_path / "1"), signatures={"serving_default": old.serve})
    with pytest.raises(PneumoError, match="older version") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_newest_version_is_taken(exported: Exported, tmp_path: Path) -> None:
    for name in ("9", "10", ".pushing", "tmp"):
        (tmp_path / name).mkdir()
    assert newest_version(tmp_path) == tmp_path / "10"
    assert newest_version(tmp_path / "nowhere") is None
    with pytest.raises(PneumoError, match="no SavedModel"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "10").rmdir()
    (tmp_path / "11").symlink_to(exported.folder)
    assert load_model(tmp_path).folder == tmp_path / "11"


def test_prediction_does_not_import_tfx(exported: Exported, folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from serving.predict.local_model import *;"
        "from serving.predict.input_files import stream_files;"
        f"m = load_model(Path({str(exported.folder)!r}));"
        f"list(predict_files(m, stream_files([Path({str(folder)!r})])));"
        "print(sorted({n.split('.')[0] for n in sys.modules} &"
        " {'tfx', 'tfx_bsl', 'apache_beam', 'tensorflow_transform', 'ml_metadata'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_of_all_kinds_in_order(small_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="needs the extra `dicom`")
    from tests.support.images.dicoms import dicom

    pixels = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    pixels[0, :2] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "b.dcm").write_bytes(dicom(pixels, bits=8))
    (tmp_path / "c.dcm").write_bytes(
        dicom(255 - pixels, bits=8, PhotometricInterpretation="MONOCHROME1")
    )
    (tmp_path / "d.dcm").write_bytes(dicom(pixels, bits=8, NumberOfFrames=9))
    (tmp_path / "e.png").write_bytes(b"")
    files = [*sorted(tmp_path.iterdir()), tmp_path / "gone.png"]
    predictions = list(predict_files(load_model(small_model), iter(files), 2))
    assert [prediction.file for prediction in predictions] == list(map(str, files))
    png, by_dicom, negative, frames, empty, gone = predictions
    # The same pixels, whatever they were wrapped in.
    assert by_dicom.probabilities == pytest.approx(png.probabilities, abs=1e-6)
    assert negative.probabilities == pytest.approx(png.probabilities, abs=1e-6)
    assert "9 frames" in frames.error
    assert empty.status == "EMPTY"
    assert "cannot be read" in gone.error
    assert all(one.decision == "REJECTED" and one.abstained for one in (frames, empty, gone))


def test_a_model_folder_of_any_name(exported: Exported, folder: Path, tmp_path: Path) -> None:
    from serving.server.saved_model import SavedModel

    version = tmp_path / "k=v [a] *? 100% #1 é" / "1"
    shutil.copytree(exported.folder, version)
    files = list(stream_files([folder]))[:2]
    here, there = (
        [prediction.score for prediction in predict_files(load_model(place), files)]
        for place in (exported.folder, version.parent)
    )
    assert here == pytest.approx(there)
    assert "serving_default" in SavedModel(version).signatures


def test_images_that_are_no_radiographs_are_referred(small_model: Path, tmp_path: Path) -> None:
    """Alone and among others, which keep their scores."""
    expected = {
        "a.png": (chest(), "OK"),
        "b.png": (np.zeros((90, 90), np.uint8), "BLANK"),
        "c.png": (chest() // 16, "LOW_CONTRAST"),
        "d.png": (mask(), "FEW_GRAY_VALUES"),
        "e.png": (photograph(), "COLOR_PHOTO"),
        "f.png": (255 - chest(), "INVERTED"),
        "g.png": (chest(2), "OK"),
    }
    for name, (pixels, _) in expected.items():
        Image.fromarray(pixels).save(tmp_path / name)
    model = load_model(small_model)
    predictions = list(predict_files(model, sorted(tmp_path.iterdir())))
    assert [one.status for one in predictions] == [status for _, status in expected.values()]
    for one in predictions:
        if one.status == "OK":
            assert one.score is not None
            assert one.decision != "REJECTED"
        else:
            assert (one.decision, one.score, one.predicted, one.error) == ("REFER", None, "", "")
    (alone,) = predict_files(model, [tmp_path / "g.png"])
    assert alone.probabilities == pytest.approx(predictions[-1].probabilities, abs=1e-6)
