"""Runs the graph on this machine, node by node, and reports progress."""

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
from schema.errors import root_cause as cause_in_text

if TYPE_CHECKING:
    from tfx.v1 import dsl

log = logging.getLogger("pneumo.run")


@dataclass(frozen=True)
class NodeResult:
    """Result of one node.

    Attributes:
      name: id of the node.
      seconds: wall time.
      cached: whether the outputs came from the cache.
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
    """A node failed with the exception `cause`.

    Attributes:
      user_error: whether the cause is a PneumoError, also one of a worker process.
    """

    def __init__(self, name: str, seconds: float, cause: BaseException) -> None:
        kind, line = root_cause(cause)
        self.user_error = kind == PneumoError.__name__
        text = line if self.user_error else f"{kind}: {line[:300]}"
        super().__init__(f"{name} failed after {seconds:.1f} s: {text}")
        self.cause = cause


def root_cause(error: BaseException) -> tuple[str, str]:
    """Returns the class name and the first line of the error that a failure follows from.

    The causes of `error` are followed to the first PneumoError or to the last one; then the
    tracebacks that its message quotes, because an error in a worker process arrives as text.
    """
    while not isinstance(error, PneumoError) and error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = PneumoError if isinstance(error, PneumoError) else type(error)
    return cause_in_text(str(error)) or (kind.__name__, lines[0] if lines else "")


def run_nodes(
    pipeline: "dsl.Pipeline",
    metadata_file: Path,
    on_start: Callable[[str, int, int], None],
    on_finish: Callable[[NodeResult], None],
    beam_args: Sequence[str] = (),
) -> list[NodeResult]:
    """Runs every node in topological order, as TFX's LocalDagRunner does.

    LocalDagRunner has no hook between nodes and skips a node whose inputs cannot be resolved; this
    loop reports each node and stops at such a node.

    Args:
      pipeline: the graph; its metadata connection is set here.
      metadata_file: SQLite file of ML Metadata.
      on_start: called with node, its number from 1, and the number of nodes.
      on_finish: called with each result.
      beam_args: arguments for the components that use Beam. They are not part of the graph, so a
        change of the engine or of a port does not change cache keys.

    Raises:
      NodeFailed: a node failed or its inputs are missing.
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
    beam_operators = _beam_operators(beam_args)
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
                custom_executor_operators=beam_operators,
            ).launch()
            result = _result(store, name, info, time.monotonic() - started)
        except Exception as error:
            log.exception("node %s failed", name)
            raise NodeFailed(name, time.monotonic() - started, error) from error
        results.append(result)
        on_finish(result)
    return results


def _beam_operators(beam_args: Sequence[str]) -> dict[Any, Any]:
    """Returns TFX's operator for Beam executors, with more arguments."""
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
        raise RuntimeError("its inputs are missing; an earlier node wrote no output")
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
        outputs={
            key: [artifact.uri for artifact in artifacts] for key, artifacts in outputs.items()
        },
        properties={
            key: {
                name: getattr(value, value.WhichOneof("value"))
                for name, value in artifacts[0].custom_properties.items()
                if value.WhichOneof("value") in ("int_value", "string_value", "double_value")
            }
            for key, artifacts in outputs.items()
            if artifacts
        },
    )
