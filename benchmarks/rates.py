"""Images per second of the Embedder, compared with the bare backbone.

The speed of rented processors changes by the minute. Each turn therefore runs everything once, in
alternating order; a ratio is the median over turns of the ratio within a turn.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

IMAGES, TURNS = 160, 9


def rates(folder: Path, backbone: str, side: int, batch: int) -> dict[str, Any]:
    """Measures the Embedder from file to file, and the backbone over images in memory, as a
    tf.function and in OpenVINO at the same precision.

    Args:
      folder: contains `images.npz` and `transformed/`; output is written to it.
      backbone: key of `BACKBONES`.
      side: image side, pixels.
      batch: images per forward pass.
    """
    import tensorflow as tf

    from core.embedding.embed import embed_split
    from core.embedding.forward import select_forward
    from core.training.data.transformed_images import transformed_images

    pixels = np.load(folder / "images.npz")["pixels"][:IMAGES].astype(np.float32)
    batches = [pixels[i : i + batch] for i in range(0, len(pixels), batch)]
    function, holder = _bare_backbone(backbone, side)
    forward = select_forward(backbone, side, None, "top", "float32", pixels[:batch]).forward
    files = [str(folder / "transformed" / "Split-train" / "*")]

    def embedder() -> None:
        images = transformed_images(files, side, batch).take(len(batches))
        embed_split(images, forward, folder / "rates", "train", storage="float16")

    runs: dict[str, Callable[[], Any]] = {
        "embedder": embedder,
        "bare_backbone": lambda: [function(batch) for batch in batches],
    }
    extra: dict[str, Any] = {}
    try:
        import openvino
    except ImportError:
        extra["note"] = "openvino is not installed: pip install -r requirements/bench.txt"
    else:
        tf.saved_model.save(holder, str(folder / "saved"), function.get_concrete_function())
        converted = openvino.convert_model(str(folder / "saved"))
        compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        output = next(iter(compiled(batches[0]).values()))
        extra["largest_difference"] = float(np.abs(output - function(batches[0]).numpy()).max())
        runs["openvino"] = lambda: [compiled(batch) for batch in batches]
    clock, processor = _turns(runs, len(pixels))
    turns = {f"embedder_to_{name}": _to(clock, name) for name in runs if name != "embedder"}
    spent = {
        f"embedder_to_{name}_processor": _to(processor, name) for name in runs if name != "embedder"
    }
    return {
        **{name: statistics.median(values) for name, values in clock.items()},
        **extra,
        "turns": {name: [round(ratio, 2) for ratio in values] for name, values in turns.items()},
        "ratio": {name: statistics.median(values) for name, values in (turns | spent).items()},
    }


def _to(rates: dict[str, list[float]], other: str) -> list[float]:
    """Returns the ratio of the Embedder's rate to another one in each turn, sorted."""
    return sorted(m / h for m, h in zip(rates["embedder"], rates[other], strict=True))


def _turns(
    runs: dict[str, Callable[[], Any]], images: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Returns images per wall second and per CPU second, of each run in each turn."""
    clock: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(TURNS + 1):
        for name in list(runs) if turn % 2 else list(reversed(runs)):
            started, spent = time.monotonic(), time.process_time()
            runs[name]()
            if turn:  # the first turn traces and compiles
                clock[name].append(images / (time.monotonic() - started))
                processor[name].append(images / (time.process_time() - spent))
    return clock, processor


def _bare_backbone(
    name: str, side: int
) -> "tuple[tf.types.experimental.PolymorphicFunction, tf.Module]":
    """Returns the pooled backbone as a tf.function, and a module that holds its variables."""
    import keras
    import tensorflow as tf

    from core.models.backbones import TOP, split_backbone

    keras.utils.set_random_seed(0)
    backbone = split_backbone(name, side, None, TOP)[0]
    model = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
    function = tf.function(
        lambda x: model(x, training=False),
        input_signature=[tf.TensorSpec([None, side, side, 1], tf.float32)],
        autograph=False,
    )
    holder = tf.Module()
    holder.kept = [v.value for v in model.variables]
    return function, holder
