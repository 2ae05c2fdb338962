"""One run from a folder of images to a report: ingest, weights, graph, summary."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.ingest.job import IngestSummary, ingest, read_summary
from components.trainer.weights import Weights, resolve_weights
from pipeline.config import Config, RunFacts
from pipeline.runners.local import NodeResult, run_nodes
from pipeline.runners.progress import RunProgress
from pipeline.runners.store import clean_leftovers, open_store
from pipeline.runners.workspace import Workspace
from schema.errors import PneumoError
from schema.features import SPLITS
from schema.files import write_atomically


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
      nodes: how each node went.
      report: the HTML page.
      metrics: name -> estimate, low, high on test; from the report.
      blessed: whether the gate let the model through.
      pushed: folder of the pushed version; empty when it was not blessed.
      records: folder of the records.
    """

    nodes: list[NodeResult]
    report: str
    metrics: dict[str, dict[str, float | None]]
    blessed: bool
    pushed: str
    records: str

    def to_json(self) -> str:
        """The result as JSON, for machines."""
        return json.dumps(asdict(self), indent=1)


def prepare_records(
    config: Config,
    data: Path,
    work: Workspace,
    progress: Callable[[str, int, int], None] | None,
    beam_args: Sequence[str] = (),
) -> tuple[Path, IngestSummary]:
    """Returns the records of a data folder, ingesting it if that has not been done.

    Args:
      config: how to ingest.
      data: a folder that `pneumo ingest` wrote, or a folder of images.
      work: where records are kept.
      progress: called with phase, done, total.
      beam_args: for Beam.

    Raises:
      PneumoError: the folder does not exist or holds no images.
    """
    if not data.exists():
        raise PneumoError(f"data folder {data} does not exist; give it with --data or PNEUMO_DATA")
    if (data / "dataset.json").is_file():
        summary, records = read_summary(data), data.resolve()
        _need_all_splits(records)
        return records, summary
    summary = ingest(
        data,
        work.records,
        config.data.ingest,
        beam_args=beam_args,
        progress=progress,
        overwrite=work.records.exists(),
    )
    _need_all_splits(work.records)
    return work.records, summary


def _need_all_splits(records: Path) -> None:
    for split in SPLITS:
        if not any(records.glob(f"{split}-*.tfrecord")):
            raise PneumoError(
                f"{records} has no image in split {split!r}; a run needs train, val and test. "
                "Give more patients, or another data.ingest.split or val_fraction"
            )


def resolve(config: Config, records: Path, work: Workspace, weights: Weights) -> Config:
    """Fills in what the graph needs to know of this run."""
    facts = json.loads((records / "dataset.json").read_text())
    push_to = config.serving.push_to
    return config.model_copy(
        update={
            "run": RunFacts(
                records=str(records),
                records_sha256=facts["content_sha256"],
                synthetic=bool(facts["synthetic"]),
                root=str(work.artifacts),
                push_to=str(Path(push_to).expanduser().resolve() if push_to else work.serving),
                checkpoints=str(work.checkpoints),
                weights=weights.to_dict(),
            )
        }
    )


def find_weights(config: Config, show: RunProgress) -> Weights:
    """Finds the weights before anything else is done, and says what is odd about them.

    Raises:
      PneumoError: weights cannot be had.
    """
    # TFT asks for it at import; set here so that the order of imports does not matter.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    weights = resolve_weights(config.model)
    if notice := weights.notice(config.model.trunk):
        show.say(notice)
    return weights


def run(
    config: Config, work: Workspace, records: Path, weights: Weights, show: RunProgress
) -> RunResult:
    """Runs the graph over records and writes `run.json`.

    Raises:
      NodeFailed: a node raised.
    """
    import tfx.v1  # noqa: F401  before TFDV, which fails when it is imported first

    for leftover in clean_leftovers(open_store(work.metadata), work.artifacts):
        show.say(f"removed what an earlier, killed run left: {leftover}")
    from pipeline.pipeline import create_pipeline

    pipeline = create_pipeline(resolve(config, records, work, weights))
    nodes = run_nodes(pipeline, work.metadata, show.node_starts, show.node_ended)
    result = _summary(nodes, records)
    write_atomically(work.summary, result.to_json())
    return result


def _summary(nodes: list[NodeResult], records: Path) -> RunResult:
    by_name = {node.name: node for node in nodes}
    pushed: dict[str, Any] = by_name["Pusher"].properties.get("pushed_model", {})
    blessing = by_name["Gate"].properties.get("blessing", {})
    page = Path(by_name["Report"].outputs["report"][0]) / "report.html"
    return RunResult(
        nodes=nodes,
        report=str(page),
        metrics=json.loads(page.with_suffix(".json").read_text()).get("metrics", {}),
        blessed=blessing.get("blessed") == 1,
        pushed=str(pushed.get("pushed_destination", "")) if pushed.get("pushed") == 1 else "",
        records=str(records),
    )
