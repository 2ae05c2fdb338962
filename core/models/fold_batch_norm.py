"""Folds batch normalization into the convolutions of an exported network."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np


def fold_batch_norm(model: "keras.Model") -> "keras.Model":
    """Folds each batch normalization that follows a convolution into its kernel and bias.

    At inference `gamma (conv(x, w) - mean) / sqrt(variance + epsilon) + beta` equals
    `conv(x, w scale) + (beta - mean scale)` with `scale = gamma / sqrt(variance + epsilon)`, up to
    float32 rounding. This saves one pass over the activations per normalization (Jacob et al.,
    2018, section 3.2).

    Args:
      model: functional, may be nested; not modified.

    Returns:
      A copy for inference. Normalizations that follow another layer, or a convolution with several
      consumers, are kept.
    """
    import keras

    folded = _foldable(model)
    convolutions = {id(convolution) for convolution, _ in folded.values()}
    copies: dict[int, tuple[Any, Any]] = {}
    removed: dict[int, Any] = {}

    def copy_of(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation without weights
        if id(layer) in folded:
            identity = keras.layers.Identity(name=layer.name)
            removed[id(identity)] = identity
            return identity
        config = layer.get_config()
        if id(layer) in convolutions:
            config["use_bias"] = True
        copied = type(layer).from_config(config)
        copies[id(layer)] = (layer, copied)
        return copied

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        return arguments[0] if id(layer) in removed else layer(*arguments, **options)

    clone = keras.models.clone_model(
        model, clone_function=copy_of, call_function=call, recursive=True
    )
    merged = {id(convolution): (convolution, norm) for convolution, norm in folded.values()}
    for key, (layer, copied) in copies.items():
        if key in merged:
            copied.set_weights(_merge(*merged[key]))
        elif layer.weights:
            copied.set_weights(layer.get_weights())
    clone.trainable = False
    return clone


def _foldable(model: "keras.Model") -> dict[int, tuple[Any, Any]]:
    """Returns id of a normalization -> (preceding convolution, normalization), in all submodels."""
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    pairs: dict[int, tuple[Any, Any]] = {}
    graph = model._functional if isinstance(model, keras.Sequential) else model
    operations = list(graph.operations)
    # Layers of a split backbone also have the calls of the whole one.
    nodes = {id(node) for depth in graph._nodes_by_depth.values() for node in depth}
    consumers: dict[int, int] = {}
    for operation in operations:
        for source in _sources(operation, nodes):
            consumers[id(source)] = consumers.get(id(source), 0) + 1
    for tensor in graph.outputs:
        source = tensor._keras_history.operation
        consumers[id(source)] = consumers.get(id(source), 0) + 1
    for operation in operations:
        if isinstance(operation, keras.Model):
            pairs |= _foldable(operation)
        if not isinstance(operation, keras.layers.BatchNormalization):
            continue
        before = _sources(operation, nodes)
        if (
            len(before) == 1
            and type(before[0]) in kinds
            and consumers[id(before[0])] == 1
            and before[0].activation is keras.activations.linear
            and before[0].data_format == "channels_last"
            # Rounding a folded kernel to bfloat16 would change the outputs.
            and before[0].compute_dtype == operation.compute_dtype == "float32"
            and operation.axis in (-1, 3)
        ):
            pairs[id(operation)] = (before[0], operation)
    return pairs


def _sources(operation: Any, nodes: set[int]) -> list[Any]:
    """Returns the operations that an operation reads from, in the calls that are in `nodes`."""
    return [
        parent.operation
        for call in operation._inbound_nodes
        if id(call) in nodes
        for parent in call.parent_nodes
    ]


def _merge(convolution: Any, norm: Any) -> "list[np.ndarray]":
    """Returns the folded weights of the convolution in Keras's order, computed in float64."""
    import keras
    import numpy as np

    mean, variance = (np.asarray(v, np.float64) for v in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta, np.float64) if norm.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    *before, kernel = [
        np.asarray(weight, np.float64)
        for weight in convolution.get_weights()[: -1 if convolution.use_bias else None]
    ]
    bias = np.asarray(convolution.bias, np.float64) if convolution.use_bias else 0.0
    # A depthwise kernel is [h, w, channels, multiplier]; others end with the output channels.
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    kernel = kernel * (scale.reshape(kernel.shape[2:]) if depthwise else scale)
    return [part.astype(np.float32) for part in (*before, kernel, (bias - mean) * scale + beta)]
