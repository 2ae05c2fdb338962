"""Nodes on an engine: Beam's arguments reach them, and are no part of what the cache looks at."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.arguments import beam_args
from pipeline.engines.options import BeamOptions
from pipeline.runners.local import NodeFailed, run_nodes
from schema.errors import PneumoError
from tests.support import records

ELSEWHERE = beam_args("portable", BeamOptions(job_endpoint="127.0.0.1:9", worker_pool="h:1"))


def example_gen(folder: Path, args: list[str], **cache: bool) -> list[Any]:
    import tfx.v1 as tfx

    split = tfx.proto.Input.Split(name="val", pattern="val-*.tfrecord")
    node = tfx.components.ImportExampleGen(
        input_base=str(folder / "records"), input_config=tfx.proto.Input(splits=[split])
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="test",
        pipeline_root=str(folder / "artifacts"),
        components=[node],
        enable_cache=cache.get("cache", True),
    )
    database = folder / "metadata.sqlite"
    return run_nodes(pipeline, database, lambda *_: None, lambda _: None, args)


def test_what_ran_on_one_engine_is_cached_for_another(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    rows = [records.values(b"\x89PNG", "normal", f"person{i}-1") for i in range(3)]
    records.write(str(tmp_path / "records" / "val-00000-of-00001.tfrecord"), rows)

    first = example_gen(tmp_path, beam_args("direct", BeamOptions(parallelism=2)))
    again = example_gen(tmp_path, ELSEWHERE)

    assert [node.cached for node in first + again] == [False, True]
    # Where there is nothing in the cache, it is this engine that is asked; nothing answers there.
    with pytest.raises(NodeFailed, match="ImportExampleGen"):
        example_gen(tmp_path, [*ELSEWHERE, "--job_server_timeout=1"], cache=False)


def nested() -> BaseException:
    try:
        try:
            raise PneumoError("the real reason")
        except PneumoError as inner:
            raise RuntimeError("wrapped\nmany lines") from inner
    except RuntimeError as outer:
        return outer


IN_WORKER = """Pipeline job-1 failed in state FAILED: Traceback (most recent call last):
  File "x.py", line 1, in <module>
schema.errors.PneumoError: no boxes: ingest with boxes [while running 'Map(f)']

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "y.py", line 2, in process
RuntimeError: bundle failed
"""


@pytest.mark.parametrize(
    ("error", "line", "user_error"),
    [
        (PneumoError("say this"), "say this", True),
        (ValueError("\n\n first \nsecond"), "ValueError: first", False),
        (ValueError(), "ValueError: ", False),
        (nested(), "the real reason", True),
        (RuntimeError(IN_WORKER), "no boxes: ingest with boxes", True),
        (RuntimeError(IN_WORKER.replace("Pneumo", "Type")), "TypeError: no boxes", False),
    ],
)
def test_a_failed_node_names_the_cause(error: BaseException, line: str, user_error: bool) -> None:
    failed = NodeFailed("Node", 1.0, error)
    assert str(failed).startswith(f"Node failed after 1.0 s: {line}")
    assert failed.user_error == user_error
