"""One run from a folder of images to a report: ingest, weights, graph, summary."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.batch_results.results import FILE as RESULTS
from core.ingest.job import IngestSummary, ingest, read_summary
from core.ingest.records.integrity import check_shards
from core.models.backbone_weights import BackboneWeights, resolve_weights
from core.models.backbones import INPUT, TOP, build_network, image_size, tensors_at
from core.training.data.teacher import find_teacher
from pipeline.config import Config
from pipeline.run_context import RunContext
from pipeline.runners.data_checks import check_boxes, check_records
from pipeline.runners.local import NodeResult, run_nodes
from pipeline.runners.metadata_store import repair_store
from pipeline.runners.progress import RunProgress
from pipeline.runners.workspace import Workspace, check_data_folder
from schema.errors import PneumoError
from schema.files import read_json, write_atomically
from schema.model_folder import INFRA_RESULT


@dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Attributes:
      nodes: result of each node.
      report: path of the HTML page; empty if the test split was not evaluated.
      metrics: name -> estimate, low, high on the test split, from the report; empty likewise.
      blessed: whether the gate blessed the model.
      pushed: folder of the pushed version; empty if the model was not pushed.
      records: folder of the records.
      refused: why the infrastructure validation did not bless a model that the gate blessed.
      batch: table of predictions for the unlabeled records; empty if there is none.
      batch_rows: number of its rows.
      validation: `ordinary` and, if configured, `shifted` -> name -> estimate, low, high.
    """

    nodes: list[NodeResult]
    report: str
    metrics: dict[str, dict[str, float | None]]
    blessed: bool
    pushed: str
    records: str
    refused: list[str] = field(default_factory=list)
    batch: str = ""
    batch_rows: int = 0
    validation: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the result as JSON."""
        return json.dumps(asdict(self), indent=1)


def prepare_records(
    config: Config,
    data: Path,
    work: Workspace,
    progress: Callable[[str, int, int], None] | None,
    beam_args: Sequence[str] = (),
) -> tuple[Path, IngestSummary]:
    """Returns the records of a data folder; ingests the folder if it contains images.

    Args:
      config: its section data.ingest is used.
      data: a folder that `pneumo ingest` wrote, or a folder of images.
      work: work folder; new records are written to its `records`.
      progress: called with phase, done, total.
      beam_args: Beam arguments.

    Raises:
      PneumoError: the folder does not exist or holds no images, a shard is damaged, or a split
        lacks a class.
    """
    check_data_folder(data)
    if (data / "dataset.json").is_file():
        summary, records = read_summary(data), work.literal(data)
        check_records(config, records, summary)
        check_shards(records, summary, progress)
        return records, summary
    summary = ingest(
        data,
        work.records,
        config.data.ingest,
        beam_args=beam_args,
        progress=progress,
        overwrite=work.records.exists(),
    )
    check_records(config, work.records, summary)
    return work.records, summary


def run_context(
    config: Config,
    records: Path,
    work: Workspace,
    weights: Sequence[BackboneWeights],
    validation_only: bool = False,
) -> RunContext:
    """Returns what the graph needs to know about a run on this machine.

    Args:
      config: configuration of the run.
      records: folder that `pneumo ingest` wrote.
      work: work folder.
      weights: of each network.
      validation_only: leave out the nodes that read the test split.

    Raises:
      PneumoError: the task needs boxes and the records have none, or the teacher does not fit.
    """
    check_boxes(config, records)
    model, distill = config.model, config.training.distill
    size = image_size(model.backbone, model.image_size)
    teacher = find_teacher(distill, config.task, size, model.fit).sha256 if distill else ""
    dataset = json.loads((records / "dataset.json").read_text())
    push_to = config.serving.push_to
    return RunContext(
        records=str(records),
        records_sha256=dataset["content_sha256"],
        synthetic=bool(dataset["synthetic"]),
        root=str(work.artifacts),
        push_to=str(Path(push_to).expanduser().resolve() if push_to else work.serving),
        checkpoints=str(work.checkpoints),
        weights=weights[0],
        member_weights=tuple(weights) if config.model.members else (),
        teacher_sha256=teacher,
        infra_validation=config.serving.infra_validation,
        validation_only=validation_only,
        batch_records=batch_records(config, work),
    )


def report_metrics(report: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Returns the metrics of a report, with those of boxes if the model predicts boxes."""
    return {**report.get("metrics", {}), **(report.get("boxes") or {}).get("metrics", {})}


def batch_records(config: Config, work: Workspace) -> str:
    """Returns the folder of the unlabeled records; empty if none are configured.

    Raises:
      PneumoError: it holds no records, or a shard is damaged.
    """
    if config.batch is None:
        return ""
    folder = work.literal(Path(config.batch.records).expanduser())
    if (folder / "dataset.json").is_file():
        check_shards(folder, read_summary(folder))
    elif not any(folder.glob("*.tfrecord")):
        raise PneumoError(
            f"batch.records: {folder} holds no records; run `pneumo ingest IMAGES {folder}`"
        )
    return str(folder)


def check_layers(config: Config) -> None:
    """Checks the names of layers in a configuration before any node runs.

    Raises:
      PneumoError: a backbone cannot be split at a layer.
    """
    tune, layer = config.training.fine_tune, config.training.embedding.layer
    members = config.model.members
    named = [
        (one.backbone, one.trainable_from or (tune.trainable_from if tune else TOP))
        for one in members
    ] or [(config.model.backbone, tune.trainable_from if tune else layer or TOP)]
    for backbone, name in named:
        if name in ("default", INPUT, TOP):
            continue
        network = build_network(backbone, image_size(backbone, config.model.image_size), None)
        try:
            tensors_at(network, backbone, name)
        except ValueError as error:
            key = "trainable_from" if tune else "training.embedding.layer"
            raise PneumoError(f"{key}: {error}") from None


def resolve_run_weights(config: Config, show: RunProgress) -> tuple[BackboneWeights, ...]:
    """Resolves the weights of each network and prints a notice if they are random.

    Raises:
      PneumoError: the weights are missing or invalid.
    """
    # TFT asks for it at import; set here so that the order of imports does not matter.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    resolved = []
    for network in config.model.networks():
        resolved.append(resolve_weights(network))
        if notice := resolved[-1].notice(network.backbone):
            show.print_line(notice)
    return tuple(resolved)


def run(
    config: Config,
    work: Workspace,
    records: Path,
    weights: Sequence[BackboneWeights],
    show: RunProgress,
    beam_args: Sequence[str] = (),
    validation_only: bool = False,
) -> RunResult:
    """Runs the graph over records and writes `run.json`.

    Args:
      config: configuration of the run.
      work: work folder.
      records: folder that `pneumo ingest` wrote.
      weights: of each network.
      show: progress display.
      beam_args: arguments for the components that use Beam.
      validation_only: leave out the nodes that read the test split.

    Raises:
      NodeFailed: a node raised.
    """
    import tfx.v1  # noqa: F401  before TFDV, which fails when it is imported first

    for line in repair_store(work.metadata, work.artifacts):
        show.print_line(line)
    from pipeline.pipeline import create_pipeline

    pipeline = create_pipeline(config, run_context(config, records, work, weights, validation_only))
    nodes = run_nodes(pipeline, work.metadata, show.start_node, show.finish_node, beam_args)
    result = _summary(nodes, records)
    write_atomically(work.summary, result.to_json())
    return result


def _summary(nodes: list[NodeResult], records: Path) -> RunResult:
    by_name = {node.name: node for node in nodes}
    validation = validation_metrics(Path(by_name["Trainer"].outputs["model_run"][0]))
    if "Report" not in by_name:
        return RunResult(nodes, "", {}, False, "", str(records), validation=validation)
    pushed: dict[str, Any] = by_name["Pusher"].properties.get("pushed_model", {})
    blessing = by_name["Gate"].properties.get("blessing", {})
    page = Path(by_name["Report"].outputs["report"][0]) / "report.html"
    blessed = blessing.get("blessed") == 1
    batch, rows = _batch(by_name)
    return RunResult(
        nodes=nodes,
        report=str(page),
        metrics=report_metrics(json.loads(page.with_suffix(".json").read_text())),
        blessed=blessed,
        pushed=str(pushed.get("pushed_destination", "")) if pushed.get("pushed") == 1 else "",
        records=str(records),
        refused=_infra_failures(by_name) if blessed else [],
        batch=batch,
        batch_rows=rows,
        validation=validation,
    )


def validation_metrics(model_run: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the metrics on ordinary and on shifted validation, as far as they are known."""
    shifted = read_json(model_run / "shifted_validation.json")
    if shifted is None:
        training = read_json(model_run / "training.json") or {}
        auc = (training.get("calibration") or {}).get("auc")
        return {"ordinary": {"auc": {"estimate": auc, "low": None, "high": None}}}
    parts = {"ordinary": shifted["ordinary"], "shifted": shifted["mean"]}
    return {name: part["metrics"] for name, part in parts.items() if part is not None}


def _infra_failures(by_name: dict[str, NodeResult]) -> list[str]:
    """Returns why the infrastructure validation failed; empty if it passed or did not run."""
    for name in ("EndpointValidator", "InfraValidator"):
        node = by_name.get(name)
        if node is None or node.properties.get("blessing", {}).get("blessed") == 1:
            continue
        verdict = read_json(Path(node.outputs["blessing"][0]) / INFRA_RESULT)
        return verdict["reasons"] if verdict else [f"{name} failed; see the log for the reason"]
    return []


def _batch(by_name: dict[str, NodeResult]) -> tuple[str, int]:
    """Returns the table of predictions for unlabeled records and its number of rows."""
    node = by_name.get("BatchResults")
    if node is None:
        return "", 0
    file = Path(node.outputs["results"][0]) / RESULTS
    rows = int(node.properties["results"]["rows"])
    return str(file) if file.is_file() else "", rows
