"""Runs the graph on this machine, node by node, and says how it goes."""

import datetime
import logging
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.runners import metadata_store
from schema.errors import PneumoError

if TYPE_CHECKING:
    from tfx.v1 import dsl

log = logging.getLogger("pneumo.run")


@dataclass(frozen=True)
class NodeResult:
    """How one node went.

    Attributes:
      name: id of the node.
      seconds: wall time.
      cached: answered from the cache.
      peak_rss_mib: highest resident memory of the process so far, MiB.
      outputs: key -> folders of its artifacts.
      properties: key -> custom properties of its first artifact.
    """

    name: str
    seconds: float
    cached: bool
    peak_rss_mib: float
    outputs: dict[str, list[str]]
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)


class NodeFailed(Exception):
    """A node raised; `cause` is what it raised."""

    def __init__(self, name: str, seconds: float, cause: BaseException) -> None:
        super().__init__(f"{name} failed after {seconds:.1f} s: {first_line(cause)}")
        self.cause = cause


def first_line(error: BaseException) -> str:
    """The first line of an error that says something, with its type unless it is ours."""
    inner = error
    while not isinstance(inner, PneumoError) and inner.__cause__ is not None:
        inner = inner.__cause__
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if isinstance(inner, PneumoError):
        return text
    return f"{type(inner).__name__}: {text[:300]}"


def run_nodes(
    pipeline: "dsl.Pipeline",
    metadata_file: Path,
    on_start: Callable[[str, int, int], None],
    on_finish: Callable[[NodeResult], None],
    beam_args: Sequence[str] = (),
) -> list[NodeResult]:
    """Runs every node in topological order, as TFX's LocalDagRunner does.

    LocalDagRunner itself offers no hook between nodes, and passes over a node whose inputs cannot
    be resolved; this loop reports each node and stops there.

    Args:
      pipeline: the graph, without metadata connection.
      metadata_file: SQLite file of ML Metadata.
      on_start: called with node, its number from 1, and the number of nodes.
      on_finish: called with each result.
      beam_args: of every component that works with Beam. They are no part of the graph, so that
        another engine, or another port of the same, finds what ran before in the cache.

    Raises:
      NodeFailed: a node raised, or could not be run.
    """
    import tfx.v1 as tfx
    from tfx.dsl.compiler import constants
    from tfx.dsl.compiler.compiler import Compiler
    from tfx.orchestration import metadata
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher, runtime_parameter_utils

    connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(metadata_file))
    pipeline.metadata_connection_config = connection
    spec = Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        spec, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()}
    )
    deployment = runner_utils.extract_local_deployment_config(spec)
    store = metadata_store.open_store(metadata_file)
    on_engine = _on_engine(beam_args)
    results: list[NodeResult] = []
    for number, node in enumerate(spec.nodes, 1):
        name = node.pipeline_node.node_info.id
        on_start(name, number, len(spec.nodes))
        started = time.monotonic()
        try:
            info = launcher.Launcher(
                pipeline_node=node.pipeline_node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=spec.pipeline_info,
                pipeline_runtime_spec=spec.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, name),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
                custom_executor_operators=on_engine,
            ).launch()
            result = _result(store, name, info, time.monotonic() - started)
        except Exception as error:
            log.exception("node %s failed", name)
            raise NodeFailed(name, time.monotonic() - started, error) from error
        results.append(result)
        on_finish(result)
    return results


def _on_engine(beam_args: Sequence[str]) -> dict[Any, Any]:
    """Who runs the executors that work with Beam: TFX's operator, with more arguments."""
    from tfx.orchestration.portable import beam_executor_operator
    from tfx.proto.orchestration import executable_spec_pb2, placeholder_pb2

    specs: Any = executable_spec_pb2  # generated code that mypy cannot read
    placeholders: Any = placeholder_pb2

    class Operator(beam_executor_operator.BeamExecutorOperator):
        def __init__(self, executor_spec: Any, platform_config: Any = None) -> None:
            super().__init__(executor_spec, platform_config)
            for arg in beam_args:
                text = placeholders.PlaceholderExpression()
                text.value.string_value = arg
                self.beam_pipeline_args.append(text)

    return {specs.BeamExecutableSpec: Operator}


def _result(store: Any, name: str, info: Any, seconds: float) -> NodeResult:
    from ml_metadata.proto import metadata_store_pb2 as pb

    if info is None or not info.execution_id:
        raise RuntimeError("its inputs are missing; an earlier node gave none")
    (execution,) = store.get_executions_by_id([info.execution_id])
    if execution.last_known_state not in (pb.Execution.COMPLETE, pb.Execution.CACHED):
        state = pb.Execution.State.Name(execution.last_known_state)
        raise RuntimeError(f"its execution {execution.id} ended as {state}")
    outputs = metadata_store.execution_outputs(store, execution.id)
    return NodeResult(
        name=name,
        seconds=seconds,
        cached=execution.last_known_state == pb.Execution.CACHED,
        peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        outputs={key: [artifact.uri for artifact in found] for key, found in outputs.items()},
        properties={
            key: {
                name: getattr(value, value.WhichOneof("value"))
                for name, value in found[0].custom_properties.items()
                if value.WhichOneof("value") in ("int_value", "string_value", "double_value")
            }
            for key, found in outputs.items()
            if found
        },
    )
