"""Dense head: backbone activations at several levels -> heat of box centers and geometry."""

from typing import TYPE_CHECKING, Any

from core.models.options import DetectorOptions

if TYPE_CHECKING:
    import keras
    import numpy as np

OUTPUTS = 5  # logit of heat, log height, log width, offset y, offset x
HEAT_BIAS = -2.19  # log(0.1 / 0.9): initial heat of 0.1 (Lin et al., 2017)
SIZE_BIAS = -1.4  # log of a quarter of the side

Shape = tuple[int, int, int]


def grid_size(shapes: "list[Shape]", options: DetectorOptions) -> tuple[int, int]:
    """Returns the number of output cells in y and x."""
    rows, columns, _ = shapes[0]
    return rows * options.upsample, columns * options.upsample


def build_dense_head(
    shapes: "list[Shape]",
    scaling: "list[tuple[np.ndarray, np.ndarray]]",
    options: DetectorOptions,
    seed: int,
) -> "keras.Model":
    """Builds the head.

    Each level is standardized (see `core.models.head.build_head`), projected to the same number of
    channels and resized to the grid of the first level. Their sum passes two convolutions, an
    optional upsampling and a last convolution.

    Args:
      shapes: (h, w, channels) of each level, from input to output.
      scaling: mean and standard deviation of each level's channels, float32 [channels] each.
      options: channels, upsampling, dropout.
      seed: of the weights and of dropout.

    Returns:
      A model, list of float32 [n, h, w, channels] -> float32 [n, rows, columns, OUTPUTS].
    """
    import keras
    import numpy as np

    # Independent seeds, more than are needed.
    seeds = iter((np.random.SeedSequence((seed, 5)).generate_state(32) >> 1).tolist())

    def convolution(x: Any, filters: int, size: int, name: str) -> Any:
        x = keras.layers.Conv2D(
            filters,
            size,
            padding="same",
            use_bias=False,
            name=name,
            kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)),
        )(x)
        # Group normalization does not depend on the batch, nor on training or inference mode.
        norm = keras.layers.GroupNormalization(_groups(filters), name=f"{name}_norm")
        return norm(x)

    rows, columns, _ = shapes[0]
    inputs, laterals = [], []
    for i, (shape, (mean, deviation)) in enumerate(zip(shapes, scaling, strict=True)):
        level = keras.Input(shape, name=f"level_{i}")
        inputs.append(level)
        x = keras.layers.Rescaling(1.0, offset=(-mean).tolist(), name=f"center_{i}")(level)
        x = keras.layers.Rescaling((1.0 / deviation).tolist(), name=f"scale_{i}")(x)
        x = keras.layers.SpatialDropout2D(options.dropout, seed=next(seeds), name=f"drop_{i}")(x)
        x = convolution(x, options.channels, 1, f"lateral_{i}")
        if shape[:2] != (rows, columns):
            x = keras.layers.Resizing(rows, columns, name=f"grow_{i}")(x)
        laterals.append(x)
    x = keras.layers.Add(name="levels")(laterals) if len(laterals) > 1 else laterals[0]
    x = keras.layers.ReLU(name="levels_relu")(x)
    for name in ("dense_0", "dense_1"):
        x = keras.layers.ReLU(name=f"{name}_relu")(convolution(x, options.channels, 3, name))
    if options.upsample > 1:
        fine = keras.layers.Resizing(*grid_size(shapes, options), name="finer")(x)
        fine = convolution(fine, options.channels, 3, "dense_2")
        x = keras.layers.ReLU(name="dense_2_relu")(fine)
    output = keras.layers.Conv2D(
        OUTPUTS,
        1,
        name="output",
        dtype="float32",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=next(seeds)),
    )(x)
    model = keras.Model(inputs, output, name="dense_head")
    model.get_layer("output").bias.assign([HEAT_BIAS, SIZE_BIAS, SIZE_BIAS, 0.5, 0.5])
    return model


def _groups(channels: int) -> int:
    """Returns the largest divisor of the number of channels, up to 16."""
    return max(groups for groups in range(1, 17) if channels % groups == 0)


def as_list(outputs: Any) -> list[Any]:
    """Returns the outputs of a Keras model as a list; a single output is a bare tensor."""
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
