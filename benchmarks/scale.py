"""CPU seconds, peak memory and stored bytes of ingest and of each node.

    python -m benchmarks scale                                     1,000 and 10,000 images
    python -m benchmarks.scale --sizes 1000 10000 100000           a quarter of an hour of one core

The images are PNG files of 16 x 16 pixels (340 bytes), to make large numbers affordable; the model
is MobileNet at 32 pixels. Every step runs in a forked process after its libraries were imported:
the seconds exclude imports, but the peak includes their memory (660 MiB).
"""

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Nodes in graph order -> part of the images; None: executed for later nodes, but not reported.
PARTS = {
    "ImportExampleGen": 1.0,
    "ImportSchemaGen": None,
    "StatisticsGen": 1.0,
    "ExampleValidator": None,
    "AnomalyGate": None,
    "Transform": 0.85,
    "Embedder": 0.85,
    "Trainer": 0.7,
    "latest_blessed_model": None,
    "Evaluator": 0.15,
    "Scorer": 0.15,
}
SPLITS = {"train": 0.7, "val": 0.15, "test": 0.15}
CONFIG = {
    "name": "scale",
    "model": {"backbone": "MobileNet", "weights": "random", "image_size": 32},
    "training": {"epochs": 3, "patience": 100},
    "serving": {"infra_validation": "savedmodel"},
}


def bench(sizes: tuple[int, ...] = (1_000, 10_000)) -> dict[str, Any]:
    """Measures every step at each number of images."""
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for n in sizes:
            for step, row in [*measure_ingest(scratch, n), *measure_nodes(scratch, n)]:
                rows.setdefault(step, {})[str(row.pop("images"))] = row
            shutil.rmtree(scratch / str(n))
    return rows


def measure_ingest(scratch: Path, n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (phase, row) of `pneumo ingest` over files in two class folders."""
    source, dest = scratch / str(n) / "files", scratch / str(n) / "ingested"
    for folder in ("NORMAL", "PNEUMONIA"):
        (source / folder).mkdir(parents=True)
    for index, image in enumerate(_images(n)):
        (source / _file_name(index)).write_bytes(image)

    def work() -> dict[str, float]:
        from core.ingest.job import ingest
        from core.ingest.options import IngestOptions

        seconds: dict[str, float] = {}
        last = _cpu_seconds()

        def progress(phase: str, done: int, total: int) -> None:
            nonlocal last
            now = _cpu_seconds()
            seconds[phase] = seconds.get(phase, 0.0) + now - last
            last = now

        ingest(source, dest, IngestOptions(), progress=progress)
        return seconds

    seconds, peak = forked(work)
    for phase, spent in seconds.items():
        stored = _stored(dest) if phase == "write" else 0.0
        yield f"ingest {phase}", {"images": n, "cpu_s": spent, "peak_mib": peak, "mb": stored}


def measure_nodes(scratch: Path, n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (node, row) of the graph over records, one node at a time."""
    for module in ("tfx.v1", "keras", "pipeline.pipeline", "components.trainer.run_fn"):
        __import__(module)
    records, work = scratch / str(n) / "records", scratch / str(n) / "run"
    write_records(records, n)
    work.mkdir()
    for node, part in PARTS.items():
        seconds, peak = forked(lambda node=node: run_node(node, records, work))  # type: ignore[misc]
        if part is not None:
            stored = _stored(work / "artifacts" / node)
            row = {"cpu_s": seconds["node"], "peak_mib": peak, "mb": stored}
            yield node, {"images": round(n * part), **row}


def run_node(name: str, records: Path, work: Path) -> dict[str, float]:
    """Launches one node of the graph after its predecessors; returns CPU seconds."""
    import tfx.v1 as tfx
    from tfx.dsl.compiler import constants
    from tfx.dsl.compiler.compiler import Compiler
    from tfx.orchestration import metadata
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher, runtime_parameter_utils

    from core.models.backbone_weights import BackboneWeights
    from pipeline.config import Config
    from pipeline.pipeline import create_pipeline
    from pipeline.run_context import RunContext

    run = RunContext(
        records=str(records),
        records_sha256=json.loads((records / "dataset.json").read_text())["content_sha256"],
        synthetic=True,
        root=str(work / "artifacts"),
        push_to=str(work / "serving"),
        checkpoints=str(work / "checkpoints"),
        weights=BackboneWeights("random"),
    )
    pipeline = create_pipeline(Config.model_validate(CONFIG), run)
    connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(work / "mlmd"))
    pipeline.metadata_connection_config = connection
    spec = Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        spec, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: "scale"}
    )
    deployment = runner_utils.extract_local_deployment_config(spec)
    (node,) = (n.pipeline_node for n in spec.nodes if n.pipeline_node.node_info.id == name)
    started = _cpu_seconds()
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
    return {"node": _cpu_seconds() - started}


def forked(work: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float]:
    """Runs `work` in a forked process; returns its result and the peak resident memory in MiB."""
    with tempfile.NamedTemporaryFile("w+") as output, tempfile.NamedTemporaryFile("w+") as log:
        pid = os.fork()
        if not pid:
            try:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                Path(output.name).write_text(json.dumps(work()))
                os._exit(0)
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
        _, status, usage = os.wait4(pid, 0)
        if status:
            raise RuntimeError(Path(log.name).read_text(errors="replace")[-2000:])
        return json.loads(Path(output.name).read_text()), usage.ru_maxrss / 1024


def write_records(dest: Path, n: int) -> None:
    """Writes the record shards and `dataset.json` of a data set of `n` images."""
    import tensorflow as tf

    from tests.support import records

    dest.mkdir(parents=True)
    images = enumerate(_images(n))
    for split, part in SPLITS.items():
        with tf.io.TFRecordWriter(str(dest / f"{split}-00000-of-00001.tfrecord")) as out:
            for _ in range(round(n * part)):
                index, image = next(images)
                pathogen = "bacteria" if index % 2 else "normal"
                row = records.values(image, pathogen, f"person{index:07d}-{index}")
                out.write(records.example(row))
    facts = {"content_sha256": f"stubs {n}", "synthetic": True, "version": 1, "written": n}
    (dest / "dataset.json").write_text(json.dumps(facts))
    (dest / "manifest.jsonl").write_text("")


def _images(n: int) -> Iterator[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    for _ in range(n):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(out, "PNG", compress_level=0)
        yield out.getvalue()


def _file_name(index: int) -> str:
    if index % 2 == 0:
        return f"NORMAL/IM-{index:010d}-0001.png"
    return f"PNEUMONIA/person{index - index % 10:010d}_bacteria_{index}.png"


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def _stored(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    """Prints the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    json.dump(bench(tuple(parser.parse_args().sizes)), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
