"""A backbone that shows its activations at several levels, for a detector."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models.backbones import (
    INPUT,
    TOP,
    all_split_points,
    build_network,
    preprocess,
    resolve_layer,
    switch_off_noise,
    tensors_at,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class FeaturePyramid:
    """A frozen backbone that shows its activations at several levels.

    Attributes:
      whole: gray pixels float32 [n, size, size, 1] in 0..255 -> list of activations float32
        [n, h, w, c]: at each level, and last the backbone's output.
      above: activation at the first level -> the rest of that list. Shares its weights with
        `whole`, and is frozen as it is.
      levels: names of the levels, the backbone's output not among them unless it is one.
    """

    whole: "keras.Model"
    above: "keras.Model"
    levels: tuple[str, ...]


def build_feature_pyramid(
    name: str, size: int, weights: str | None, levels: tuple[str, ...]
) -> "FeaturePyramid":
    """Builds a backbone that shows several levels.

    Args:
      name: a key of `BACKBONES`.
      size: side of the input, pixels.
      weights: None (random), "imagenet", or an .h5 file.
      levels: layers as in `split_backbone`, from below to above; the first lies below the top.

    Raises:
      ValueError: no such layer; two tensors cross it; the order is another; the first is the top.
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
                f"{name} has no map at {level!r} that a detector can read; name another level"
            )
        tensors += crossing
    places = [order[level] for level in names]
    if places != sorted(set(places)) or names[0] == TOP:
        raise ValueError(f"levels must rise from below {TOP!r}, not {', '.join(names)}")
    outputs = tensors if names[-1] == TOP else [*tensors, network.output]
    pixels = keras.Input((size, size, 1), name="pixels")
    inner = keras.Model(network.input, outputs, name=f"{network.name}_levels")
    found = inner(preprocess(name, pixels), training=False)
    shown = [
        keras.layers.Identity(name=f"float32_{i}", dtype="float32")(x) for i, x in enumerate(found)
    ]
    whole = keras.Model(pixels, shown, name=f"{name}_pyramid")
    above = keras.Model(tensors[0], outputs[1:], name=f"{name}_above")
    whole.trainable = above.trainable = False
    switch_off_noise(whole)
    return FeaturePyramid(whole, above, names)
