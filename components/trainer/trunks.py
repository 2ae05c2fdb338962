"""The trunks: networks of keras.applications without their top, one line for each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Trunk:
    """One network of keras.applications.

    Attributes:
      module: its module in keras.applications; holds `preprocess_input`.
      size: default side of its input, pixels.
      weight_file: name of the ImageNet file without top, as Keras publishes and caches it.
    """

    module: str
    size: int
    weight_file: str


TRUNKS: Final[dict[str, Trunk]] = {
    "InceptionV3": Trunk(
        "inception_v3", 299, "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    ),
    "Xception": Trunk("xception", 299, "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    "MobileNetV2": Trunk(
        "mobilenet_v2", 224, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    ),
}


def image_size(trunk: str, wanted: int | None) -> int:
    """The side of the model's input in pixels: what is wanted, or the trunk's own."""
    return wanted if wanted is not None else TRUNKS[trunk].size


def build_trunk(name: str, size: int, weights: str | None) -> "keras.Model":
    """Builds a trunk that takes gray pixels.

    Args:
      name: a key of `TRUNKS`.
      size: side of the input, pixels.
      weights: None (random, from Keras's seeded initialisers), "imagenet", or an .h5 file.

    Returns:
      A frozen model, float32 [n, size, size, 1] in 0..255 -> float32 [n, h, w, channels]. The gray
      plane is repeated into three and scaled by the network's own `preprocess_input`.

    Raises:
      ValueError: the weights do not fit the network.
    """
    import keras

    module: Any = getattr(keras.applications, TRUNKS[name].module)
    network = getattr(keras.applications, name)(
        include_top=False, weights=weights, input_shape=(size, size, 3)
    )
    network.trainable = False
    pixels = keras.Input((size, size, 1), name="pixels")
    rgb = keras.layers.Concatenate(name="gray_to_rgb")([pixels, pixels, pixels])
    # training=False: batch norm uses its stored statistics, also when the head is trained.
    features = network(module.preprocess_input(rgb), training=False)
    trunk = keras.Model(pixels, features, name=f"{name}_trunk")
    trunk.trainable = False
    return trunk
