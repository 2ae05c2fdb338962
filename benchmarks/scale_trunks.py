"""Counts the multiplications of every trunk: python -m benchmarks.scale_trunks FILE.

Convolutions and dense layers, from the shapes of their kernels and outputs; no weight is made.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def multiplications(model: Any) -> int:
    """Of one image."""
    import keras

    total = 0
    for layer in _layers(model):
        if isinstance(layer, keras.layers.SeparableConv2D):
            kernels = (layer.depthwise_kernel.shape, layer.pointwise_kernel.shape)
            total += _places(layer) * sum(math.prod(shape) for shape in kernels)
        elif isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            total += _places(layer) * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return total


def _places(layer: Any) -> int:
    return int(layer.output.shape[1] * layer.output.shape[2])


def _layers(model: Any) -> Iterator[Any]:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def main() -> None:
    """Writes name -> [side, billions of multiplications, channels of the output]."""
    import keras

    from components.trainer.trunk_table import TRUNKS

    file = Path(sys.argv[1])
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    for name, of in TRUNKS.items():
        if name in found:
            continue
        with keras.StatelessScope():
            build = getattr(keras.applications, name)
            model = build(weights=None, include_top=False, input_shape=(of.size, of.size, 3))
        gmac = round(multiplications(model) / 1e9, 4)
        found[name] = [of.size, gmac, int(model.output.shape[-1])]
        print(name, found[name], flush=True)
        keras.backend.clear_session()
        file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
