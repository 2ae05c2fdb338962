"""A full run compared with its minimum compute, a cached run, and memory with ten times the data.

Images: the folder PNEUMO_DATA, or synthetic radiographs. The minimum compute is to check and write
each image, to decode and resize it, and one forward pass of the backbone.
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
RUN = ("-m", "pipeline.cli", "run", "--config", "demo", "--set", "model.weights=random")
SMALL = ("--set", "model.backbone=MobileNetV2", "--set", "model.image_size=64")


def bench() -> dict[str, Any]:
    """Returns seconds, ratios and MiB."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        data = Path(os.environ.get("PNEUMO_DATA") or _phantoms(base / "phantoms", N, 0))
        work = base / "work"
        first = measure(*RUN, "--data", data, "--workdir", work)
        summary = json.loads((work / "run.json").read_text())
        again = measure(*RUN, "--data", data, "--workdir", work)
        bare = measure("-m", "benchmarks.whole", data, summary["records"]).output
        seconds = json.loads(bare.splitlines()[-1])
        peaks = {}
        for n in (N, 10 * N):
            images = _phantoms(base / f"phantoms{n}", n, 1)
            cost = measure(*RUN, *SMALL, "--data", images, "--workdir", base / f"work{n}")
            peaks[f"{n}_images"] = cost.peak_mib
    return {
        "run_s": first.wall,
        "imports_s": measure("-c", "import tfx.v1").wall,
        "nodes_s": {node["name"]: node["seconds"] for node in summary["nodes"]},
        "bare_s": seconds,
        "run_over_bare": first.wall / sum(seconds.values()),
        "cached_run_s": again.wall,
        "cached_over_first": again.wall / first.wall,
        "peak_mib": peaks,
        "peak_ratio": peaks[f"{10 * N}_images"] / peaks[f"{N}_images"],
    }


def _phantoms(folder: Path, n: int, seed: int) -> Path:
    measure("-m", "pipeline.cli", "phantom", folder, "--n", str(n), "--seed", str(seed))
    return folder


def _bare(data: Path, records: Path) -> dict[str, float]:
    """Does the minimum compute in one process; returns seconds."""
    import hashlib
    import io

    import keras
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    from core.images.decode_tf import decode_gray
    from core.images.resize_tf import resize_gray
    from core.models.backbones import TOP, split_backbone
    from core.models.head import pool
    from pipeline.config_file import load_config
    from schema import features as f

    config = load_config("demo")
    size = config.model.image_size or 299
    started = time.monotonic()
    with tempfile.TemporaryFile() as out:
        for file in sorted(p for p in data.rglob("*") if p.suffix in (".jpeg", ".jpg", ".png")):
            content = file.read_bytes()
            np.asarray(Image.open(io.BytesIO(content)).convert("L"))
            out.write(hashlib.sha256(content).digest() + content)
    ingest_s = time.monotonic() - started

    backbone = split_backbone(config.model.backbone, size, None, TOP)[0]
    embedder = keras.Model(backbone.input, pool(backbone.output, "avg"))
    forward = tf.function(
        lambda pixels: embedder(tf.cast(pixels, tf.float32), training=False),
        input_signature=[tf.TensorSpec([None, size, size, 1], tf.uint8)],
        autograph=False,
    )

    def pixels(record: tf.Tensor) -> tf.Tensor:
        spec = {f.IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.io.parse_single_example(record, spec)[f.IMAGE_ENCODED]
        return resize_gray(decode_gray(encoded), size, "stretch")

    started = time.monotonic()
    paths = sorted(str(path) for path in records.glob("*.tfrecord"))
    images = tf.data.TFRecordDataset(paths).map(pixels, num_parallel_calls=tf.data.AUTOTUNE)
    for batch in images.batch(config.training.embedding.batch_size).prefetch(1):
        forward(batch).numpy()
    return {"ingest": ingest_s, "decode_and_backbone": time.monotonic() - started}


if __name__ == "__main__":
    print(json.dumps(_bare(Path(sys.argv[1]), Path(sys.argv[2]))))
