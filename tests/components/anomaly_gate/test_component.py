from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.anomaly_gate.component import AnomalyGate, describe
from components.artifacts import DataVerdict
from schema.errors import PneumoError


def anomaly(**changes: str) -> anomalies_pb2.Anomalies:
    found = anomalies_pb2.Anomalies()
    for name, text in changes.items():
        found.anomaly_info[name].short_description = "Unexpected string values"
        found.anomaly_info[name].description = text
    return found


@pytest.mark.parametrize(
    ("anomalies", "lines"),
    [
        (anomaly(), []),
        (anomaly(pathogen="fungus"), ["train: pathogen: Unexpected string values: fungus"]),
        (anomalies_pb2.Anomalies(data_missing=True), ["train: has no records"]),
    ],
)
def test_describe(anomalies: anomalies_pb2.Anomalies, lines: list[str]) -> None:
    assert describe("train", anomalies) == lines


def gate(folder: Path, **splits: anomalies_pb2.Anomalies) -> Path:
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(folder / "anomalies")
    anomalies.split_names = artifact_utils.encode_split_names(list(splits))
    for split, found in splits.items():
        (folder / "anomalies" / f"Split-{split}").mkdir(parents=True)
        file = folder / "anomalies" / f"Split-{split}" / "SchemaDiff.pb"
        file.write_bytes(found.SerializeToString())
    verdict = DataVerdict()
    verdict.uri = str(folder / "verdict")
    Path(verdict.uri).mkdir()
    AnomalyGate.test_call(anomalies=anomalies, verdict=verdict)
    return Path(verdict.uri) / "verdict.json"


def test_clean_data_pass(tmp_path: Path) -> None:
    assert gate(tmp_path, train=anomaly(), test=anomaly()).is_file()


def test_any_split_stops_the_run_and_every_anomaly_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PneumoError) as caught:
        gate(tmp_path, train=anomaly(), val=anomaly(pathogen="fungus"), test=anomaly(a="x", b="y"))
    for part in ("val: pathogen", "fungus", "test: a", "test: b"):
        assert part in str(caught.value)
    assert not (tmp_path / "verdict" / "verdict.json").exists()
