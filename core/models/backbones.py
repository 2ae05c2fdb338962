"""Builds backbones: networks of keras.applications without their top, whole or layer in two."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from core.models.backbone_table import BACKBONES, BackboneInfo

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
]

INPUT: Final = (
    "input"  # the layer below every weight: gray to RGB and scaling stay in the lower part
)
TOP: Final = "top"  # the layer above every weight: the backbone's output


def image_size(backbone: str, wanted: int | None) -> int:
    """The side of the model's input in pixels: what is wanted, or the backbone's own."""
    return wanted if wanted is not None else BACKBONES[backbone].size


def resolve_layer(backbone: str, layer: str) -> str:
    """The name of a layer; "default" is the backbone's own."""
    return BACKBONES[backbone].layer if layer == "default" else layer


def build_network(name: str, size: int, weights: str | None) -> "keras.Model":
    """Builds Keras's own network, RGB after `preprocess_input` -> features [n, h, w, channels].

    Args:
      name: a key of `BACKBONES`.
      size: side of the input, pixels.
      weights: None (random, from Keras's seeded initialisers), "imagenet", or an .h5 file.

    Raises:
      ValueError: the weights do not fit the network, or the size is below its least.
    """
    import keras

    network = getattr(keras.applications, name)(
        include_top=False, weights=weights, input_shape=(size, size, 3)
    )
    if weights not in (None, "imagenet") and BACKBONES[name].module == "efficientnet":
        _scale_as_published(network)
    return network


def _scale_as_published(network: "keras.Model") -> None:
    """Makes EfficientNet scale its input as its published weights need it.

    The stored variance is in truth the standard deviation. Keras makes up for that by one more
    layer, but only where it is called with weights="imagenet"; the same file, given by its path,
    would see pixels at half their contrast. A file whose statistics were never set is left alone.
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
    """Gray pixels [n, s, s, 1] -> RGB [n, s, s, 3], scaled by the network's `preprocess_input`.

    float32 under every dtype policy: the scale of the first layer costs nothing and loses much.
    """
    import keras

    module: Any = getattr(keras.applications, BACKBONES[name].module)
    together = keras.layers.Concatenate(name="gray_to_rgb", dtype="float32")
    return module.preprocess_input(together([pixels, pixels, pixels]))


def split_backbone(
    name: str, size: int, weights: str | None, layer: str
) -> "tuple[keras.Model, keras.Model | None]":
    """Builds a backbone and points it in two.

    Args:
      name: a key of `BACKBONES`.
      size: side of the input, pixels.
      weights: None (random), "imagenet", or an .h5 file.
      layer: one of `split_points`, "default", "top", "input", or any other layer where everything
        passes through one tensor.

    Returns:
      (lower, upper). lower: gray pixels float32 [n, size, size, 1] in 0..255 -> activation at the
      layer, float32 [n, h, w, c]; the gray plane is repeated into three and scaled by the network's
      own `preprocess_input`; frozen, and in inference mode whatever `training` says. upper:
      activation -> features [n, h, w, channels], trainable, with variables of its own; None for
      "top". Where two tensors cross the layer (NASNet) the activation holds both,
      flattened: [n, 1, 1, h1 w1 c1 + h2 w2 c2].

    Raises:
      ValueError: no such layer; the weights do not fit; the size is below the network's least.
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
    switch_off_noise(lower)
    if layer == TOP:
        return lower, None
    if len(crossing) == 1:
        return lower, keras.Model(crossing[0], network.output, name=f"{name}_upper")
    above = keras.Model(crossing, network.output, name=f"{network.name}_above")
    packed = keras.Input(at_layer.shape[1:], name="at_layer")
    upper = keras.Model(packed, above(_unpack(packed, crossing)), name=f"{name}_upper")
    return lower, upper


def _pack(tensors: "list[keras.KerasTensor]") -> "keras.KerasTensor":
    import keras

    flat = [keras.layers.Reshape((1, 1, -1))(tensor) for tensor in tensors]
    return keras.layers.Concatenate(axis=-1, name="pack")(flat)


def _unpack(
    packed: "keras.KerasTensor", like: "list[keras.KerasTensor]"
) -> "list[keras.KerasTensor]":
    import keras
    import numpy as np

    out, start = [], 0
    for tensor in like:
        end = start + int(np.prod(tensor.shape[1:]))
        out.append(keras.layers.Reshape(tensor.shape[1:])(packed[..., start:end]))
        start = end
    return out


def tensors_at(network: "keras.Model", name: str, layer: str) -> "list[keras.KerasTensor]":
    points = all_split_points(network)
    if layer not in points:
        listed = ", ".join(split_points(network))
        raise ValueError(f"{name} cannot be split at {layer!r}; choose one of {listed}")
    return points[layer]


def split_points(network: "keras.Model") -> list[str]:
    """Where a network of `build_network` can be layer, from "input" to "top".

    Cuts that only a normalisation or an operation without weights parts from the next are left
    out; `split_backbone` takes them all the same.
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
    """Name of each layer -> the tensors that cross it, from below to above.

    In topological order, an operation is passed by everything exactly if no edge spans it. At a
    concatenation a second tensor may pass beside it: NASNet's cells take the two before them.
    """
    import keras

    operations = network.operations
    place = {id(operation): i for i, operation in enumerate(operations)}
    last_use = [-1] * len(operations)
    for i, operation in enumerate(operations):
        for source in _sources(operation):
            last_use[place[id(source)]] = i
    names = _stable_names(operations)
    scaling = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization)
    found: dict[str, list[keras.KerasTensor]] = {}
    still_scaling = True
    for i, operation in enumerate(operations[:-1]):
        still_scaling = still_scaling and isinstance(operation, scaling)
        crossing = [j for j in range(i + 1) if last_use[j] > i]
        pair = len(crossing) == 2 and isinstance(operation, keras.layers.Concatenate)
        if crossing != [i] and not (pair and i in crossing):
            continue
        found[INPUT if still_scaling else names[i]] = [operations[j].output for j in crossing]
    return found


def _sources(operation: Any) -> Iterator[Any]:
    """The operations whose outputs this one takes, in the network's own graph."""
    for tensor in operation._inbound_nodes[0].input_tensors:
        yield tensor._keras_history.operation


def _stable_names(operations: list[Any]) -> list[str]:
    """The names that operations have where the network is the first that its process builds.

    Keras counts layers without a name through the whole process: what is add_10 at first is add_22
    in the second Xception.
    """
    counted: dict[str, list[tuple[int, int]]] = {}
    names = [operation.name for operation in operations]
    for i, operation in enumerate(operations):
        kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()
        match = re.fullmatch(rf"{kind}(?:_(\d+))?", operation.name)
        if match:
            counted.setdefault(kind, []).append((int(match[1] or 0), i))
    for kind, places in counted.items():
        for rank, (_, i) in enumerate(sorted(places)):
            names[i] = f"{kind}_{rank}" if rank else kind
    return names


def _layers(model: "keras.Model") -> "Iterator[keras.Layer]":
    """Every layer, also inside nested models."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def switch_off_noise(model: "keras.Model") -> None:
    """Dropout and stochastic depth off; a frozen batch norm uses its stored statistics anyhow.

    `training=False` in the graph would not do: Keras lets the outermost call overrule it.
    """
    import keras

    for layer in _layers(model):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif hasattr(layer, "drop_path_rate"):
            layer.drop_path_rate = 0.0


def freeze_batch_norm(model: "keras.Model") -> int:
    """Batch norm keeps its statistics, scale and offset, also in training; returns how many."""
    import keras

    found = [
        layer for layer in _layers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in found:
        layer.trainable = False
    return len(found)
