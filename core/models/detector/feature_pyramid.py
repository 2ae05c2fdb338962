"""Feature pyramid: a frozen backbone with outputs at several levels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models.backbones import (
    INPUT,
    TOP,
    all_split_points,
    build_network,
    disable_dropout,
    preprocess,
    resolve_layer,
    tensors_at,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class FeaturePyramid:
    """A frozen backbone with outputs at several levels.

    Attributes:
      whole: gray pixels float32 [n, size, size, 1] in 0..255 -> list of activations float32
        [n, h, w, c]: at each level, and last the backbone's output.
      above: activation at the first level -> the rest of that list; frozen, and shares its weights
        with `whole`.
      levels: names of the levels; contains the backbone's output only if it is a level.
    """

    whole: "keras.Model"
    above: "keras.Model"
    levels: tuple[str, ...]


def build_feature_pyramid(
    name: str, size: int, weights: str | None, levels: tuple[str, ...]
) -> "FeaturePyramid":
    """Builds a backbone with outputs at several levels.

    Args:
      name: key of `BACKBONES`.
      size: side of the input, pixels.
      weights: "imagenet" or an .h5 file; None: random weights.
      levels: layers as in `split_backbone`, from input to output; the first must not be "top".

    Raises:
      ValueError: a layer does not exist or has two outputs, or the order is wrong.
    """
    import keras

    network = build_network(name, size, weights)
    names = tuple(resolve_layer(name, level) for level in levels)
    order = {layer: i for i, layer in enumerate([*all_split_points(network), TOP])}
    tensors = []
    for level in names:
        crossing = [network.output] if level == TOP else tensors_at(network, name, level)
        if len(crossing) != 1 or level == INPUT:
            raise ValueError(
                f"{name} has no single feature map at {level!r}; choose another detector level"
            )
        tensors += crossing
    positions = [order[level] for level in names]
    if positions != sorted(set(positions)) or names[0] == TOP:
        raise ValueError(
            f"detector levels must be in order from input to output and start below {TOP!r}, not "
            f"{', '.join(names)}"
        )
    outputs = tensors if names[-1] == TOP else [*tensors, network.output]
    pixels = keras.Input((size, size, 1), name="pixels")
    inner = keras.Model(network.input, outputs, name=f"{network.name}_levels")
    activations = inner(preprocess(name, pixels), training=False)
    float32_outputs = [
        keras.layers.Identity(name=f"float32_{i}", dtype="float32")(x)
        for i, x in enumerate(activations)
    ]
    whole = keras.Model(pixels, float32_outputs, name=f"{name}_pyramid")
    above = keras.Model(tensors[0], outputs[1:], name=f"{name}_above")
    whole.trainable = above.trainable = False
    disable_dropout(whole)
    return FeaturePyramid(whole, above, names)
