import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.reporting.run_outputs import output, read_run, recorded_folder

FOLDER_NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(old=FOLDER_NAMES, new=FOLDER_NAMES)
def test_paths_of_a_moved_work_folder(tmp_path: Path, old: str, new: str) -> None:
    work = tmp_path / new
    (work / "artifacts").mkdir(parents=True, exist_ok=True)
    recorded = f"/data/{old}"
    run = {
        "nodes": [
            {"name": "Resolver", "outputs": {"model": []}},
            {"name": "Trainer", "outputs": {"model": [f"{recorded}/artifacts/Trainer/model/7"]}},
        ],
        "report": f"{recorded}/artifacts/Report/report/9/report.html",
        "records": f"{recorded}2/records",  # another folder
        "batch": "",
        "metrics": {"auc": {"low": None}},
    }
    file = work / "run.json"
    file.write_text(json.dumps(run))
    assert recorded_folder(run) == recorded
    found = read_run(file, work)
    assert output(found, "Trainer", "model") == work.resolve() / "artifacts/Trainer/model/7"
    assert found["report"] == f"{work.resolve()}/artifacts/Report/report/9/report.html"
    assert {key: found[key] for key in ("records", "batch", "metrics")} == {
        key: run[key] for key in ("records", "batch", "metrics")
    }


def test_a_run_that_was_not_moved_or_is_incomplete(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    assert read_run(file, tmp_path) == {}
    for uri in ("/else/artifacts/Trainer/model/7", "gs://bucket/x", str(tmp_path)):
        run = {"nodes": [{"name": "Trainer", "outputs": {"model": [uri]}}]}
        file.write_text(json.dumps(run))
        assert read_run(file, tmp_path) == run  # without its artifacts
