import json
from pathlib import Path

from serving.dicom_out.algorithm import describe_parameters, identify_algorithm


def test_the_digest_depends_on_every_byte(tmp_path: Path) -> None:
    folder = tmp_path / "1700000000"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")
    info = json.loads('{"threshold": 0.25, "band": [0.2, 0.3], "boxes": {"kind": "weak"}}')
    first = identify_algorithm(folder, info, "pneumo")
    assert first.version == "1700000000"
    assert len(first.digest) == 64
    assert identify_algorithm(folder, info, "pneumo") == first
    (folder / "variables" / "data").write_bytes(b"Weights")
    assert identify_algorithm(folder, info, "pneumo").digest != first.digest
    (tmp_path / "current").symlink_to(folder)
    assert identify_algorithm(tmp_path / "current", info, "pneumo").version == "1700000000"
    folder.rename(tmp_path / "Format-Serving")
    assert identify_algorithm(tmp_path / "Format-Serving", info, "pneumo").version == "0"


def test_parameters_describe_the_operating_point() -> None:
    info = {"threshold": 0.25, "band": [0.2, 0.3], "boxes": {"kind": "weak"}, "synthetic": True}
    sentences = describe_parameters(info)
    assert "not a medical device" in sentences[0]
    assert [sentence.split(":")[0] for sentence in sentences[1:]] == [
        "Trained on synthetic images",
        "Operating point",
        "Refers scores from 0.2 to below 0.3",
        "Regions",
    ]
    assert describe_parameters({}) == sentences[:1]
    assert describe_parameters({"boxes": {"kind": "something new"}, "band": None}) == sentences[:1]
