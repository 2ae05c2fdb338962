"""Batch normalization folded at export: latency at batch 1, throughput at 32, change of outputs.

Xception at 224 pixels on the weights of PNEUMO_WEIGHTS (an .h5 file of Keras) or on random ones
whose batch norm has seen the pictures; three heads on its pooled features. Both see the same
decoded pictures. `difference` is the largest change of a probability
against float32 as it is exported.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import measure

TRUNK, SIZE, HEADS, CLASSES = "Xception", 224, 3, 3
WAYS = ("float32", "folded")
REPEATS = {1: 20, 32: 3}


def bench() -> dict[str, Any]:
    """Milliseconds, images a second and differences, each way in a process of its own."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for way in WAYS:
            output = measure("-m", "benchmarks.serving_options", way, name).output
            found[way] = json.loads(output.splitlines()[-1])
    for key in ("batch_1_ms", "images_per_second", "batch_32_processor_ms"):
        found["folded"][f"{key}_ratio"] = found["folded"][key] / found["float32"][key]
    return found


def one_way(way: str, folder: Path) -> dict[str, float]:
    """Measures one way; the first, float32, leaves its answers in the folder for the others."""
    pixels = pictures(32)
    run = compiled(build(pixels, folder, way == "folded"))
    answers = np.concatenate([run(pixels[i : i + 1]) for i in range(len(pixels))])
    reference = folder / "answers.npy"
    if way == "float32":
        np.save(reference, answers)
    result = {"difference": float(np.abs(answers - np.load(reference)).max())}
    run(pixels)
    for batch, repeats in REPEATS.items():
        spent = np.empty([repeats, 2])
        for i in range(repeats):
            wall, processor = time.perf_counter(), time.process_time()
            run(pixels[:batch])
            spent[i] = time.perf_counter() - wall, time.process_time() - processor
        wall, processor = np.median(spent, axis=0)
        result[f"batch_{batch}_ms"] = float(wall) * 1e3
        # Of all cores together; says more than the clock where the machine has other work.
        result[f"batch_{batch}_processor_ms"] = float(processor) * 1e3
    result["images_per_second"] = 32e3 / result["batch_32_ms"]
    return result


def build(pixels: np.ndarray, folder: Path, folded: bool) -> Callable[[Any], Any]:
    """The network: float32 [n, s, s, 1] -> probabilities float32 [n, heads, classes]."""
    import keras
    import tensorflow as tf

    from components.trainer.head import build_head, pool
    from components.trainer.network import Member, Network, moments
    from components.trainer.options import ModelOptions
    from components.trainer.trunks import split_trunk
    from serving.optimise import fold_batch_norm

    keras.utils.set_random_seed(0)
    lower, _ = split_trunk(TRUNK, SIZE, os.environ.get("PNEUMO_WEIGHTS"), "top")
    stored = folder / "statistics.npz"
    norms = [layer for layer in layers(lower) if type(layer).__name__ == "BatchNormalization"]
    if not stored.exists():
        if "PNEUMO_WEIGHTS" not in os.environ:
            settle(lower, norms, pixels)
        features = np.asarray(pool(lower(tf.cast(pixels, tf.float32), training=False), "avg"))
        mean, deviation = moments(features.astype(np.float32))
        values = [np.asarray(v) for n in norms for v in (n.moving_mean, n.moving_variance)]
        np.savez(stored, *values, mean=mean, deviation=deviation)
    with np.load(stored) as read:
        values = [read[f"arr_{i}"] for i in range(2 * len(norms))]
        mean, deviation = read["mean"], read["deviation"]
    for i, norm in enumerate(norms):
        norm.moving_mean.assign(values[2 * i])
        norm.moving_variance.assign(values[2 * i + 1])
    members = []
    rng = np.random.default_rng(0)
    for _ in range(HEADS):
        head = build_head(mean, deviation, CLASSES, ModelOptions(trunk=TRUNK))
        kernel = head.get_layer("logits").kernel
        kernel.assign(rng.normal(0, 1.5 / np.sqrt(len(mean)), kernel.shape))
        members.append(Member(head, None))
    if folded:
        lower = fold_batch_norm(lower)
    network = Network(lower, tuple(members), "avg")
    return lambda x: tf.nn.softmax(network(x))


def settle(lower: Any, norms: list[Any], pixels: np.ndarray) -> None:
    """Gives batch norm the statistics of the pictures, as training would."""
    import keras

    below = next(layer for layer in lower.layers if isinstance(layer, keras.Model))
    below.trainable = True
    for norm in norms:
        norm.momentum = 0.0
    below(np.repeat(pixels / np.float32(127.5) - 1, 3, axis=-1), training=True)
    below.trainable = False


def layers(model: Any) -> list[Any]:
    """Every layer, also inside nested models."""
    return [
        inner
        for layer in model.layers
        for inner in (layers(layer) if hasattr(layer, "layers") else [layer])
    ]


def compiled(network: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """The network as a graph: uint8 [n, s, s, 1] -> probabilities."""
    import tensorflow as tf

    spec = [tf.TensorSpec([None, SIZE, SIZE, 1], tf.float32)]
    function = tf.function(network, input_signature=spec, autograph=False)
    return lambda pixels: function(tf.cast(pixels, tf.float32)).numpy()


def pictures(count: int) -> np.ndarray:
    """Phantoms, uint8 [count, s, s, 1]."""
    import tensorflow as tf

    from components.phantom.dataset import write_phantoms
    from components.transform.decode import decode_gray, resize_gray

    with tempfile.TemporaryDirectory() as name:
        write_phantoms(Path(name), count, 0)
        files = sorted(Path(name).rglob("*.jpeg"))[:count]
        return np.stack(
            [resize_gray(decode_gray(tf.constant(f.read_bytes())), SIZE, "stretch") for f in files]
        )


if __name__ == "__main__":
    print(json.dumps(one_way(sys.argv[1], Path(sys.argv[2]))))
