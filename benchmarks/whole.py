"""The whole run against its bare compute, the cached run, and memory at ten times the data.

Data: PNEUMO_DATA if it is set, phantoms otherwise. The bare compute is what no pipeline could leave
out: check and write each image once, decode and resize it once, one forward pass of the trunk, the
head, and one forward pass over test.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import measure

N = 400
CONFIG = "demo"
SET = ("--set", "model.weights=random")


def bench() -> dict[str, Any]:
    """Seconds, ratios and MiB."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        given = os.environ.get("PNEUMO_DATA")
        data = Path(given) if given else base / "phantoms"
        if not given:
            measure("-m", "pipeline.cli", "phantom", data, "--n", str(N), "--seed", "0")
        work = base / "work"
        run = ("-m", "pipeline.cli", "run", "--config", CONFIG, "--data", data, *SET)
        first = measure(*run, "--workdir", work)
        nodes = {
            n["name"]: n["seconds"] for n in json.loads((work / "run.json").read_text())["nodes"]
        }
        again = measure(*run, "--workdir", work)
        imports = measure("-c", "import tfx.v1")
        records = json.loads((work / "run.json").read_text())["records"]
        bare = json.loads(measure("-m", "benchmarks.whole", data, records).output.splitlines()[-1])
        return {
            "data": str(given or f"{N} phantoms"),
            "run_s": first.wall,
            "imports_s": imports.wall,
            "nodes_s": nodes,
            "bare": bare,
            "run_over_bare": first.wall / bare["total_s"],
            "cached_run_s": again.wall,
            "cached_over_first": again.wall / first.wall,
            "peak_mib": memory(base),
            "bound_by": "the trunk's forward pass; with few images the imports and graph tracing",
        }


def memory(base: Path) -> dict[str, float]:
    """Peak resident memory of a run of a small trunk at N and at 10 N images."""
    peaks = {}
    for times in (1, 10):
        data, work = base / f"phantoms{times}x", base / f"work{times}x"
        measure("-m", "pipeline.cli", "phantom", data, "--n", str(N * times), "--seed", "1")
        small = ("--set", "model.trunk=MobileNetV2", "--set", "model.image_size=64")
        cost = measure(
            "-m", "pipeline.cli", "run", "--config", CONFIG, "--data", data, "--workdir", work,
            *SET, *small,
        )  # fmt: skip
        peaks[f"{N * times}_images"] = cost.peak_mib
    low, high = peaks.values()
    return {**peaks, "ratio": high / low}


def _bare(data: Path, records: Path) -> dict[str, float]:
    """The same work with nothing around it, in one process."""
    import hashlib
    import io

    import keras
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from components.trainer.head import pool
    from components.trainer.trunks import TOP, split_trunk
    from components.transform.decode import decode_gray, resize_gray
    from pipeline.config import load_config
    from schema import features as f
    from schema.tfrecord import frame

    config = load_config(CONFIG)
    size = config.model.image_size or 299
    seconds: dict[str, float] = {}
    files = sorted(p for p in data.rglob("*") if p.suffix in (".jpeg", ".jpg", ".png"))

    started = time.monotonic()

    def checked() -> Any:
        for file in files:
            content = file.read_bytes()
            np.asarray(Image.open(io.BytesIO(content)).convert("L"))
            yield hashlib.sha256(content).digest() + content

    with tempfile.TemporaryFile() as out:
        for record in checked():
            out.write(frame(record))
    seconds["ingest_s"] = time.monotonic() - started

    spec = {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
    trunk = split_trunk(config.model.trunk, size, None, TOP)[0]
    embedder = keras.Model(trunk.input, pool(trunk.output, "avg"))
    forward = tf.function(
        lambda pixels: embedder(tf.cast(pixels, tf.float32), training=False),
        input_signature=[tf.TensorSpec([None, size, size, 1], tf.uint8)],
        autograph=False,
    )
    started = time.monotonic()
    n = 0
    for split in ("train", "val", "test"):
        paths = sorted(str(path) for path in records.glob(f"{split}-*.tfrecord"))
        images = tf.data.TFRecordDataset(paths).map(
            lambda record: resize_gray(
                decode_gray(tf.io.parse_single_example(record, spec)[f.IMAGE_ENCODED]),
                size,
                "stretch",
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        for batch in images.batch(config.training.embedding.batch_size).prefetch(1):
            n += len(forward(batch).numpy())
    seconds["decode_and_trunk_s"] = time.monotonic() - started
    seconds["images"] = n
    seconds["total_s"] = seconds["ingest_s"] + seconds["decode_and_trunk_s"]
    return seconds


if __name__ == "__main__":
    print(json.dumps(_bare(Path(sys.argv[1]), Path(sys.argv[2]))))
