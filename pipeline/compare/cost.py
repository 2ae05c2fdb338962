"""What a configuration costs: seconds of each node, memory, size of the model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.compare.runs import Finished


def cost(run: Finished, took: dict[int, float]) -> dict[str, Any]:
    """The costs of one configuration.

    Args:
      run: the configuration.
      took: execution -> seconds, of ML Metadata, for nodes that were answered from the cache.

    Returns:
      `nodes`: rows of `name`, `cached`, `seconds` (of the execution that made the outputs, whenever
      it ran; None where that is not known) and `spent` (seconds in the latest run); `seconds` (all
      nodes, as if nothing had been cached), `spent`, `peak_rss_mib` (of the process that trained;
      None where none was measured), `size_mib` (exported model on disk), `trainable`, `total`
      (parameters).
    """
    nodes = []
    for node in run.run["nodes"]:
        seconds: float | None = float(node["seconds"])
        if node["cached"]:
            made = [
                execution_of(node["name"], uri) for of in node["outputs"].values() for uri in of
            ]
            seconds = next((took[number] for number in made if number in took), None)
        nodes.append(
            {
                "name": node["name"],
                "cached": bool(node["cached"]),
                "seconds": seconds,
                "spent": float(node["seconds"]),
            }
        )
    known = [node["seconds"] for node in nodes if node["seconds"] is not None]
    parameters = run.training.get("parameters") or {}
    return {
        "nodes": nodes,
        "seconds": sum(known) if len(known) == len(nodes) else None,
        "spent": sum(node["spent"] for node in nodes),
        "peak_rss_mib": peak(run),
        "size_mib": size_of(run.model) / 2**20,
        "trainable": parameters.get("trainable"),
        "total": parameters.get("total"),
    }


def peak(run: Finished) -> float | None:
    """Highest memory of the process that trained, MiB; None where training came from the cache."""
    trained = run.process.get("trained") or {}
    if trained.get("peak_rss_mib"):
        return float(trained["peak_rss_mib"])
    nodes = run.run["nodes"]
    if any(node["name"] == "Trainer" and node["cached"] for node in nodes):
        return None
    return max(float(node["peak_rss_mib"]) for node in nodes)


def execution_of(node: str, uri: str) -> int:
    """The execution that made an output folder NODE/KEY/EXECUTION; -1 where the node did not."""
    *_, made_by, _, number = ("", "", "", *Path(uri).parts)
    return int(number) if made_by == node and number.isdigit() else -1


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where it is gone."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def cached_executions(runs: Iterable[Finished]) -> list[int]:
    """Executions whose outputs were taken from the cache."""
    found = {
        execution_of(node["name"], uri)
        for run in runs
        for node in run.run["nodes"]
        if node["cached"]
        for of in node["outputs"].values()
        for uri in of
    }
    return sorted(found - {-1})


def durations(metadata: Path, executions: Iterable[int]) -> dict[int, float]:
    """Seconds of executions from ML Metadata, from start to completion.

    Reads the store without TFX, whose import takes longer than all of this.

    Args:
      metadata: SQLite file.
      executions: ids; those that the store does not know, or that did not finish, are left out.
    """
    wanted = list(executions)
    if not metadata.is_file() or not wanted:
        return {}
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(metadata)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(config)
    return {
        found.id: (found.last_update_time_since_epoch - found.create_time_since_epoch) / 1000
        for found in store.get_executions_by_id(wanted)
        if found.last_known_state == pb.Execution.COMPLETE
    }
