"""What each node of the graph costs: one node at a time, in a process of its own, over stubs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.scale_child import Clock, forked, tree_bytes

# In the order of the graph; what is not measured is run where a later one needs it.
NODES: Final = (
    "ImportExampleGen",
    "ImportSchemaGen",
    "StatisticsGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Embedder",
    "Trainer",
    "latest_blessed_model",
    "Evaluator",
    "Scorer",
)
DATA: Final = ("ImportExampleGen", "ImportSchemaGen", "StatisticsGen")
# Without the statistics, which nothing after them reads.
TRAINING: Final = tuple(
    name for name in NODES if name not in ("StatisticsGen", "ExampleValidator", "AnomalyGate")
)
SETTINGS: Final = {
    "name": "scale",
    "model": {"trunk": "MobileNet", "weights": "random", "image_size": 32},
    "training": {"epochs": 3, "patience": 100},
    "serving": {"infra_validation": "savedmodel"},
}
# Named in full: the plain one first tries to download another.
BEAM: Final = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)


def warm() -> None:
    """Imports what the nodes need, so that a child pays for the work alone."""
    import importlib
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    for name in (
        "tfx.v1",
        "tensorflow_data_validation",
        "tensorflow_model_analysis",
        "tensorflow_transform",
        "keras",
        "pipeline.pipeline",
        "components.trainer.run_fn",
    ):
        importlib.import_module(name)


def measure(
    records: Path, work: Path, nodes: Sequence[str] = NODES, settings: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Runs nodes over records and accounts for each.

    Args:
      records: that ingest, or a maker of stubs, wrote.
      work: folder of the artifacts.
      nodes: which, in the order of the graph.
      settings: a configuration; otherwise SETTINGS.

    Yields:
      a row for each: node, cpu_s, peak_mib, start_mib, out_bytes, and `failed` where it did.
    """
    work.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        row = forked(
            lambda node=node: _one(node, records, work, settings or SETTINGS),  # type: ignore[misc]
            work / "scratch" / node,
        )
        yield {"node": node, **row}
        if "failed" in row:
            return


def _one(name: str, records: Path, work: Path, settings: dict[str, Any]) -> dict[str, Any]:
    import tfx.v1 as tfx
    from tfx.dsl.compiler import constants
    from tfx.dsl.compiler.compiler import Compiler
    from tfx.orchestration import metadata
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher, runtime_parameter_utils

    from components.trainer.weights import Weights
    from pipeline.config import Config, RunFacts
    from pipeline.pipeline import create_pipeline

    config = Config.model_validate(settings)
    facts = RunFacts(
        records=str(records),
        records_sha256=json.loads((records / "dataset.json").read_text())["content_sha256"],
        synthetic=True,
        root=str(work / "artifacts"),
        push_to=str(work / "serving"),
        checkpoints=str(work / "checkpoints"),
        weights=Weights("random").to_dict(),
    )
    pipeline = create_pipeline(config.model_copy(update={"run": facts}))
    for component in pipeline.components:
        if hasattr(component.executor_spec, "beam_pipeline_args"):
            component.executor_spec.beam_pipeline_args = list(BEAM)
    file = work / "metadata.sqlite"
    connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(file))
    pipeline.metadata_connection_config = connection
    spec = Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        spec, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: work.name}
    )
    deployment = runner_utils.extract_local_deployment_config(spec)
    (node,) = (n.pipeline_node for n in spec.nodes if n.pipeline_node.node_info.id == name)
    clock = Clock()
    with clock.part("node"):
        info = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=metadata.Metadata(connection),
            pipeline_info=spec.pipeline_info,
            pipeline_runtime_spec=spec.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(deployment, name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
        ).launch()
    if info is None or not info.execution_id:
        raise RuntimeError(f"{name}: its inputs are missing")
    return {
        "cpu_s": clock.parts["node"],
        "out_bytes": tree_bytes(work / "artifacts" / name),
    }
