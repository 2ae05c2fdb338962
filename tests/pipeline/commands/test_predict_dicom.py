"""`pneumo predict --dicom-out` as a user runs it, over a server of both protocols and a model."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.images import dicoms, identities
from tests.support.runs import cli
from tests.support.stand_ins.model_server import StandInServer, start

pydicom = pytest.importorskip("pydicom", reason="needs the extra `dicom`")
hd = pytest.importorskip("highdicom", reason="needs the extra `dicom`")

HEIGHT, WIDTH = 96, 64  # displayed; stored are half as many rows, twice as high
BOX = [24.0, 16.0, 48.0, 32.0]
N = 12


@pytest.fixture
def standin() -> Iterator[StandInServer]:
    made = StandInServer()
    made.signatures["explain"] = ["boxes", "box_scores", "heatmap"]
    made.extra = {
        "boxes": [BOX, [0.0] * 4],
        "box_scores": [0.5, -1.0],
        "heatmap": [[0.0, 1.0], [0.5, 0.25]],
        "image_height": HEIGHT,
        "image_width": WIDTH,
    }
    stop = start(made)
    yield made
    stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Radiographs with planted identities, pixels that are not square, and what is no DICOM."""
    made = tmp_path / "images"
    made.mkdir()
    for i in range(N):
        pixels = np.random.default_rng(i).integers(0, 4096, (HEIGHT // 2, WIDTH), np.uint16)
        uid = f"{identities.IDENTITIES['SOPInstanceUID']}.{i}"
        dataset = dicoms.make_dataset(
            pixels,
            bits_stored=12,
            SOPInstanceUID=uid,
            InstanceNumber=i + 1,
            PixelSpacing=[0.4, 0.2],
        )
        (made / f"{i:02}.dcm").write_bytes(dicoms.to_bytes(dataset, "1.2.840.10008.1.2.4.90"))
    frames = dicoms.make_dataset(np.zeros((9, 8, 8), np.uint8))
    (made / "frames.dcm").write_bytes(dicoms.to_bytes(frames))
    (made / "lost.dcm").write_bytes(
        dicoms.to_bytes(dicoms.make_dataset(np.eye(64, dtype=np.uint8), StudyInstanceUID=None))
    )
    (made / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n".ljust(100, b"."))
    return made


def pneumo(*arguments: Any) -> subprocess.CompletedProcess[bytes]:
    return cli.pneumo("predict", *arguments)


def code(value: str) -> Any:
    return hd.sr.CodedConcept(value, "DCM", "x")


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_reports_over_a_server(
    standin: StandInServer, folder: Path, tmp_path: Path, protocol: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["--endpoint", getattr(standin, protocol), "--dicom-out", out / "reports"]
    arguments += ["--output", out / "answers.json", "--worklist", out / "list.csv"]
    done = pneumo(*arguments, folder)
    stderr = done.stderr.decode()
    assert done.returncode == 1
    assert f"{N} structured reports in {out / 'reports'}" in stderr
    assert f"not DICOM: {folder / 'picture.png'}" in stderr
    assert "no report for 1 rejected images" in stderr
    assert f"no report for {folder / 'lost.dcm'}: it has no StudyInstanceUID" in stderr
    found = {}
    for path in (out / "reports").iterdir():
        report = hd.sr.srread(path)
        assert str(report.PatientName) == identities.IDENTITIES["PatientName"]
        (group,) = report.content.get_image_measurement_groups()
        uid = group.source_images[0].referenced_sop_instance_uid
        decision = group.get_qualitative_evaluations(name=code("121052"))[0].value.meaning
        regions = [
            (one.roi.value[[0, 2]].ravel().tolist(), one.get_measurements(name=code("111012"))[0])
            for one in report.content.get_planar_roi_measurement_groups()
        ]
        # Rows were doubled for the model: y is halved again.
        expected = [] if decision == "Absent" else [[16.0, 12.0, 32.0, 24.0]]
        assert [box for box, _ in regions] == expected
        assert [score.value for _, score in regions] == [50.0] * len(expected)
        found[uid] = decision
    assert len(found) == N
    assert {"Present", "Absent"} <= set(found.values())
    # Identities are in the reports, and in nothing else.
    reported = {name.rpartition("/")[2] for name in identities.leaks_below(out)}
    assert reported == {path.name for path in (out / "reports").iterdir()}
    assert not identities.leaks(stderr)
    assert not done.stdout


def test_resume_after_a_kill(standin: StandInServer, folder: Path, tmp_path: Path) -> None:
    """Every answer in the file has its report, and no report is torn."""
    out, answers = tmp_path / "reports", tmp_path / "answers.json"
    arguments = ["--endpoint", standin.rest, "--dicom-out", out, "--output", answers, "--resume"]
    command = [sys.executable, "-m", "pipeline.cli", "predict", *map(str, arguments)]
    command += ["--batch-size", "1", "--concurrency", "1", str(folder)]
    standin.delay = 0.1
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while run.poll() is None and (not out.exists() or len(list(out.glob("*.dcm"))) < 4):
        time.sleep(0.005)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    kept = len(answers.read_bytes().splitlines())
    before = {path: path.read_bytes() for path in out.glob("*.dcm")}
    assert 4 <= len(before) < N
    assert kept <= len(before) <= kept + 1
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    assert len(answers.read_bytes().splitlines()) == N + 3
    after = {path: path.read_bytes() for path in out.iterdir()}
    assert len(after) == N
    assert {path: after[path] for path in before} == before


def test_reports_are_the_same_again_and_without_regions(
    standin: StandInServer, folder: Path, tmp_path: Path
) -> None:
    arguments = ["--endpoint", standin.rest, "--dicom-out", tmp_path / "reports"]
    pneumo(*arguments, folder)
    before = {path: path.read_bytes() for path in (tmp_path / "reports").iterdir()}
    again = pneumo(*arguments, "--batch-size", 3, folder)
    assert {path: path.read_bytes() for path in (tmp_path / "reports").iterdir()} == before
    assert f"{N} structured reports" in again.stderr.decode()

    del standin.signatures["explain"]
    standin.extra.clear()
    out = tmp_path / "no regions"
    done = pneumo("--endpoint", standin.grpc, "--dicom-out", out, folder)
    assert done.stderr.decode().count("the reports have no regions") == 1
    for path in out.iterdir():
        assert not hd.sr.srread(path).content.get_planar_roi_measurement_groups()
    assert len(list(out.iterdir())) == N

    standin.extra["classes"] = ["CAT", "DOG", "EEL"]
    done = pneumo("--endpoint", standin.rest, "--dicom-out", tmp_path / "cats", folder)
    assert done.returncode == 2
    assert "no code for a finding of the classes CAT, DOG, EEL" in done.stderr.decode()


def test_reports_of_a_model_in_this_process(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real decoder, network and heat map."""
    from click.testing import CliRunner

    from core.phantom.dataset import write_phantoms
    from pipeline.commands.predict import command
    from serving.predict.local_model import load_model, predict_files

    phantoms = write_phantoms(tmp_path / "set", 6, 1, layout="rsna", size=128)
    images = phantoms.dest / "stage_2_train_images"
    tall = np.random.default_rng(0).integers(0, 256, (50, 160), np.uint8)
    dataset = dicoms.make_dataset(tall, planted=False, PatientID="tall", PixelSpacing=[0.4, 0.2])
    (images / "tall.dcm").write_bytes(dicoms.to_bytes(dataset))
    arguments = ["--model", str(small_model), "--dicom-out", str(tmp_path / "reports"), str(images)]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    answers = {
        Path(answer.file).stem: answer
        for answer in predict_files(
            load_model(small_model), sorted(images.iterdir()), signature="explain"
        )
    }
    assert len(answers) == 7
    assert (answers["tall"].height, answers["tall"].width) != (50, 160)  # shown with square pixels
    count = 0
    for path in (tmp_path / "reports").iterdir():
        report = hd.sr.srread(path)
        answer = answers.pop(str(report.PatientID))
        phantom = report.PatientID != "tall"
        assert report.get("QualityControlSubject") == ("YES" if phantom else None)
        (group,) = report.content.get_image_measurement_groups()
        (probability,) = group.get_measurements(name=code("122157"))
        assert probability.value == pytest.approx(answer.score, abs=1e-6)
        regions = report.content.get_planar_roi_measurement_groups()
        boxes = [] if answer.decision == "NEGATIVE" else answer.boxes
        assert boxes is not None
        assert len(regions) == len(boxes)
        source = pydicom.dcmread(next(images.glob(f"*{report.PatientID}.dcm")))
        assert answer.height and answer.width
        down, across = source.Rows / answer.height, source.Columns / answer.width
        for one, (y0, x0, y1, x1) in zip(regions, boxes, strict=True):
            corners = one.roi.value[[0, 2]].ravel().tolist()
            expected = [x0 * across, y0 * down, x1 * across, y1 * down]
            assert corners == pytest.approx(expected, abs=1e-3)
            count += 1
    assert not answers
    assert count
