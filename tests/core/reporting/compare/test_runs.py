from dataclasses import replace
from pathlib import Path

from core.reporting.compare.runs import cached_executions, cost, durations, read_runs
from tests.support.finished_runs import FinishedRuns


def test_cached_nodes_cost_their_original_time(add_run: FinishedRuns) -> None:
    runs, _ = read_runs(add_run("a", cached=("Embedder",)))
    (run,) = runs
    assert cached_executions(runs) == [10]
    found = cost(run, {10: 640.0})
    assert [node["seconds"] for node in found["nodes"]] == [640.0, 20.5, 3.0]
    assert found["seconds"] == 663.5
    assert found["spent"] == 123.5
    assert found["peak_rss_mib"] == 902  # what the last node saw, without a comparison
    assert found["size_mib"] == 1.5
    assert (found["trainable"], found["total"]) == (7, 1007)
    assert cost(run, {})["seconds"] is None  # not known is not 0


def test_peak_memory_of_cached_training(add_run: FinishedRuns) -> None:
    (run,), _ = read_runs(add_run("a", cached=("Trainer",)))
    before: dict[str, object] = {"trained": {"peak_rss_mib": 2345.0}, "peak_rss_mib": 500.0}
    for process, expected in (({}, None), (before | {"trained": None}, None), (before, 2345.0)):
        assert cost(replace(run, process=process), {})["peak_rss_mib"] == expected
    trainer = next(node for node in run.run["nodes"] if node["name"] == "Trainer")
    for uri in ("/w/artifacts/Embedder/model/8", "/w/artifacts/Trainer/model/x", ""):
        trainer["outputs"] = {"model": [uri]}
        assert cached_executions([run]) == []  # not an output of the node itself
    trainer["outputs"] = {"model": ["/w/artifacts/Trainer/model/8"]}
    assert cached_executions([run]) == [8]


def test_durations_from_ml_metadata(tmp_path: Path) -> None:
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as pb

    file = tmp_path / "metadata.sqlite"
    assert durations(file, [1]) == {}
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(file)
    store = metadata_store.MetadataStore(config)
    kind = store.put_execution_type(pb.ExecutionType(name="Trainer"))
    ids = []
    for state in (pb.Execution.RUNNING, pb.Execution.RUNNING):
        (number,) = store.put_executions([pb.Execution(type_id=kind, last_known_state=state)])
        ids.append(number)
    (execution,) = store.get_executions_by_id(ids[:1])
    execution.last_known_state = pb.Execution.COMPLETE
    store.put_executions([execution])
    (execution,) = store.get_executions_by_id(ids[:1])
    took = (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000
    assert durations(file, [*ids, 77]) == {ids[0]: took}  # the other one never finished
    assert durations(file, []) == {}
