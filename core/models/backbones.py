"""Builds backbones: networks of keras.applications without top, whole or split at a layer."""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.models.backbone_table import BACKBONES, BackboneInfo
from core.models.weight_files import load_weights
from schema.errors import nearest

if TYPE_CHECKING:
    import keras

__all__ = [
    "BACKBONES",
    "INPUT",
    "TOP",
    "BackboneInfo",
    "build_network",
    "freeze_batch_norm",
    "image_size",
    "preprocess",
    "resolve_layer",
    "split_backbone",
    "split_points",
    "unpack",
]

INPUT: Final = "input"  # splits below all weights: the lower part only converts to RGB and scales
TOP: Final = "top"  # splits above all weights: the backbone's output


def image_size(backbone: str, configured: int | None) -> int:
    """Returns the side of the model input in pixels: the configured one or the default."""
    return configured if configured is not None else BACKBONES[backbone].default_size


def resolve_layer(backbone: str, layer: str) -> str:
    """Returns the name of a layer; replaces "default" by the default layer of the backbone."""
    return BACKBONES[backbone].default_layer if layer == "default" else layer


def build_network(name: str, size: int, weights: str | None) -> "keras.Model":
    """Builds the Keras network: RGB after `preprocess_input` -> features [n, h, w, channels].

    Args:
      name: key of `BACKBONES`.
      size: side of the input, pixels.
      weights: "imagenet" or an .h5 file; None: random, from Keras's seeded initializers.

    Raises:
      ValueError: the weights do not fit the network, or the size is below its minimum.
    """
    import keras

    file = None if weights in (None, "imagenet") else weights
    network = getattr(keras.applications, name)(
        include_top=False, weights=None if file else weights, input_shape=(size, size, 3)
    )
    if file:
        load_weights(network, Path(file))
        if BACKBONES[name].keras_module == "efficientnet":
            _fix_input_scaling(network)
    return network


def _fix_input_scaling(network: "keras.Model") -> None:
    """Corrects the input normalization of EfficientNet for the published weights.

    The variance in the published file is actually the standard deviation. With weights="imagenet"
    Keras compensates for this with an additional layer, but not for a weight file: pixels would
    have half their contrast. Statistics that were never set are not changed.
    """
    import keras
    import numpy as np

    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            deviation = np.asarray(layer.adapt_variance)
            if not np.all(deviation == 1.0):
                layer.adapt_variance.assign(deviation**2)
                layer.finalize_state()


def preprocess(name: str, pixels: "keras.KerasTensor") -> "keras.KerasTensor":
    """Converts gray pixels [n, s, s, 1] to RGB [n, s, s, 3] and applies `preprocess_input`.

    Always in float32: under a bfloat16 policy, scaling would lose precision and save no time.
    """
    import keras

    module: Any = getattr(keras.applications, BACKBONES[name].keras_module)
    to_rgb = keras.layers.Concatenate(name="gray_to_rgb", dtype="float32")
    return module.preprocess_input(to_rgb([pixels, pixels, pixels]))


def split_backbone(
    name: str, size: int, weights: str | None, layer: str
) -> "tuple[keras.Model, keras.Model | None]":
    """Builds a backbone and splits it at a layer.

    Args:
      name: key of `BACKBONES`.
      size: side of the input, pixels.
      weights: "imagenet" or an .h5 file; None: random weights.
      layer: one of `split_points`, "default", "top", "input", or any other layer whose output is
        the only connection between the parts.

    Returns:
      (lower, upper). lower: gray pixels, float32 [n, size, size, 1] in 0..255 -> activation at the
      layer, float32 [n, h, w, c]; includes gray to RGB and `preprocess_input`; frozen and always in
      inference mode, even if called with training=True. upper: activation at the layer -> features
      [n, h, w, channels]; trainable; None for "top". If two tensors connect the parts (NASNet), the
      activation contains both, flattened: [n, 1, 1, h1 w1 c1 + h2 w2 c2].

    Raises:
      ValueError: the backbone cannot be split at the layer, the weights do not fit, or the size is
        below the minimum of the network.
    """
    import keras

    network = build_network(name, size, weights)
    pixels = keras.Input((size, size, 1), name="pixels")
    scaled = preprocess(name, pixels)
    layer = resolve_layer(name, layer)
    crossing = [network.output] if layer == TOP else tensors_at(network, name, layer)
    start = len(crossing) == 1 and crossing[0] is network.input
    below = None if start else keras.Model(network.input, crossing, name=f"{network.name}_below")
    activations = [scaled] if below is None else below(scaled, training=False)
    at_layer = activations[0] if len(activations) == 1 else _pack(activations)
    at_layer = keras.layers.Identity(name="float32", dtype="float32")(at_layer)
    lower = keras.Model(
        pixels, at_layer, name=f"{name}_backbone" if layer == TOP else f"{name}_lower"
    )
    lower.trainable = False
    disable_dropout(lower)
    if layer == TOP:
        return lower, None
    if len(crossing) == 1:
        return lower, keras.Model(crossing[0], network.output, name=f"{name}_upper")
    above = keras.Model(crossing, network.output, name=f"{network.name}_above")
    packed = keras.Input(at_layer.shape[1:], name="at_layer")
    parts = unpack(packed, [tensor.shape[1:] for tensor in crossing])
    upper = keras.Model(packed, above(parts), name=f"{name}_upper")
    return lower, upper


def _pack(tensors: "list[keras.KerasTensor]") -> "keras.KerasTensor":
    import keras

    flat = [keras.layers.Reshape((1, 1, -1))(tensor) for tensor in tensors]
    return keras.layers.Concatenate(axis=-1, name="pack")(flat)


def unpack(
    packed: "keras.KerasTensor", shapes: "Iterable[tuple[int, ...]]"
) -> "list[keras.KerasTensor]":
    """Splits rows of several flattened and concatenated arrays into the arrays."""
    import keras

    out, start = [], 0
    for shape in shapes:
        end = start + math.prod(shape)
        out.append(keras.layers.Reshape(shape)(packed[..., start:end]))
        start = end
    return out


def tensors_at(network: "keras.Model", name: str, layer: str) -> "list[keras.KerasTensor]":
    """Returns the tensors that cross a layer of the backbone `name`.

    Raises:
      ValueError: the backbone cannot be split there.
    """
    points = all_split_points(network)
    if layer not in points:
        hint = nearest(layer, split_points(network))
        raise ValueError(f"{name} cannot be split at {layer!r}; {hint}")
    return points[layer]


def split_points(network: "keras.Model") -> list[str]:
    """Returns the layers at which a backbone can be split, from "input" to "top".

    Omits layers that are followed by a normalization or an operation without weights;
    `split_backbone` accepts them, too.
    """
    import keras

    normalizing = (
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
        keras.layers.Normalization,
    )
    consumers: dict[int, list[Any]] = {}
    for operation in network.operations:
        for source in _sources(operation):
            consumers.setdefault(id(source), []).append(operation)
    out = []
    for name, crossing in all_split_points(network).items():
        following = [
            consumer
            for tensor in crossing
            for consumer in consumers[id(tensor._keras_history.operation)]
        ]
        light = len(following) == 1 and (
            isinstance(following[0], normalizing) or not getattr(following[0], "weights", None)
        )
        if name == INPUT or not light:
            out.append(name)
    return [*out, TOP]


def all_split_points(network: "keras.Model") -> "dict[str, list[keras.KerasTensor]]":
    """Returns layer name -> the tensors that cross it, from input to output.

    In topological order, the network can be split after an operation if no edge spans it. After a
    concatenation one further tensor may cross: the cells of NASNet read the two preceding cells.
    """
    import keras

    operations = network.operations
    position = {id(operation): i for i, operation in enumerate(operations)}
    last_use = [-1] * len(operations)
    for i, operation in enumerate(operations):
        for source in _sources(operation):
            last_use[position[id(source)]] = i
    names = _stable_names(operations)
    scaling = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization)
    points: dict[str, list[keras.KerasTensor]] = {}
    still_scaling = True
    for i, operation in enumerate(operations[:-1]):
        still_scaling = still_scaling and isinstance(operation, scaling)
        crossing = [j for j in range(i + 1) if last_use[j] > i]
        pair = len(crossing) == 2 and isinstance(operation, keras.layers.Concatenate)
        if crossing != [i] and not (pair and i in crossing):
            continue
        points[INPUT if still_scaling else names[i]] = [operations[j].output for j in crossing]
    return points


def _sources(operation: Any) -> Iterator[Any]:
    """Yields the operations whose outputs this one reads, in the network's own graph."""
    for tensor in operation._inbound_nodes[0].input_tensors:
        yield tensor._keras_history.operation


def _stable_names(operations: list[Any]) -> list[str]:
    """Returns the names that the operations have in the first network that a process builds.

    Keras numbers unnamed layers per process: add_10 of the first Xception is add_22 in the second.
    """
    counted: dict[str, list[tuple[int, int]]] = {}
    names = [operation.name for operation in operations]
    for i, operation in enumerate(operations):
        kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()
        match = re.fullmatch(rf"{kind}(?:_(\d+))?", operation.name)
        if match:
            counted.setdefault(kind, []).append((int(match[1] or 0), i))
    for kind, numbered in counted.items():
        for rank, (_, i) in enumerate(sorted(numbered)):
            names[i] = f"{kind}_{rank}" if rank else kind
    return names


def _layers(model: "keras.Model") -> "Iterator[keras.Layer]":
    """Yields all layers, including those of nested models."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def disable_dropout(model: "keras.Model") -> None:
    """Disables dropout and stochastic depth.

    `training=False` in the graph is not enough, because the outermost call of a Keras model
    overrides it. Frozen batch normalization always uses its stored statistics.
    """
    import keras

    for layer in _layers(model):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif hasattr(layer, "drop_path_rate"):
            layer.drop_path_rate = 0.0


def freeze_batch_norm(model: "keras.Model") -> int:
    """Freezes statistics, scale and offset of batch normalization; returns the number of layers."""
    import keras

    kind = keras.layers.BatchNormalization
    layers = [layer for layer in _layers(model) if isinstance(layer, kind)]
    for layer in layers:
        layer.trainable = False
    return len(layers)
