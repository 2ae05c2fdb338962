"""The dense head: activations of the backbone at some levels -> heat of centres and geometry."""

from typing import TYPE_CHECKING, Any

from core.models.options import DetectorOptions

if TYPE_CHECKING:
    import keras
    import numpy as np

OUTPUTS = 5  # logit of heat, log height, log width, offset y, offset x
FEW = -2.19  # log(.1 / .9): a new head says that a tenth of the cells are centres (Lin et al. 2017)
SIZE = -1.4  # log of a quarter of the side

Shape = tuple[int, int, int]


def grid_size(shapes: "list[Shape]", options: DetectorOptions) -> tuple[int, int]:
    """Cells of the head in y and x."""
    rows, columns, _ = shapes[0]
    return rows * options.upsample, columns * options.upsample


def build_dense_head(
    shapes: "list[Shape]",
    scaling: "list[tuple[np.ndarray, np.ndarray]]",
    options: DetectorOptions,
    seed: int,
) -> "keras.Model":
    """Builds the head.

    Each level is centred and scaled (see `core.models.head.build_head` for why) and brought
    to the same number of channels and to the grid of the first; their sum goes through two
    convolutions, the grid is doubled if asked for, and a last convolution answers.

    Args:
      shapes: of the levels, (h, w, channels), from below to above.
      scaling: mean and deviation of each level's channels, float32 [channels] each.
      options: channels, upsampling, dropout.
      seed: of the weights and of dropout.

    Returns:
      A model, list of float32 [n, h, w, channels] -> float32 [n, rows, columns, OUTPUTS].
    """
    import keras
    import numpy as np

    # Independent, and more than are needed.
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
        # Of groups and not of batches: the same in training and at inference, for any batch.
        norm = keras.layers.GroupNormalization(_groups(filters), name=f"{name}_norm")
        return norm(x)

    rows, columns, _ = shapes[0]
    inputs, found = [], []
    for i, (shape, (mean, deviation)) in enumerate(zip(shapes, scaling, strict=True)):
        given = keras.Input(shape, name=f"level_{i}")
        inputs.append(given)
        x = keras.layers.Rescaling(1.0, offset=(-mean).tolist(), name=f"centre_{i}")(given)
        x = keras.layers.Rescaling((1.0 / deviation).tolist(), name=f"scale_{i}")(x)
        x = keras.layers.SpatialDropout2D(options.dropout, seed=next(seeds), name=f"drop_{i}")(x)
        x = convolution(x, options.channels, 1, f"lateral_{i}")
        if shape[:2] != (rows, columns):
            x = keras.layers.Resizing(rows, columns, name=f"grow_{i}")(x)
        found.append(x)
    x = keras.layers.Add(name="levels")(found) if len(found) > 1 else found[0]
    x = keras.layers.ReLU(name="levels_relu")(x)
    for name in ("dense_0", "dense_1"):
        x = keras.layers.ReLU(name=f"{name}_relu")(convolution(x, options.channels, 3, name))
    if options.upsample > 1:
        fine = keras.layers.Resizing(*grid_size(shapes, options), name="finer")(x)
        fine = convolution(fine, options.channels, 3, "dense_2")
        x = keras.layers.ReLU(name="dense_2_relu")(fine)
    answer = keras.layers.Conv2D(
        OUTPUTS,
        1,
        name="answer",
        dtype="float32",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=next(seeds)),
    )(x)
    model = keras.Model(inputs, answer, name="dense_head")
    model.get_layer("answer").bias.assign([FEW, SIZE, SIZE, 0.5, 0.5])
    return model


def _groups(channels: int) -> int:
    """The most groups, up to 16, that divide the channels."""
    return max(groups for groups in range(1, 17) if channels % groups == 0)


def as_list(outputs: Any) -> list[Any]:
    """Outputs of a Keras model as a list; a model with one output returns the bare tensor."""
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
