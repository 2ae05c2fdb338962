"""Dropout whose mask does not depend on how a batch is shared out.

Imported where a head is built, for it needs Keras.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras

_WINDOW: contextvars.ContextVar[tuple[Any, Any] | None] = contextvars.ContextVar(
    "window", default=None
)


@contextlib.contextmanager
def window(first: Any, images: Any) -> Iterator[None]:
    """Says, while a step is traced, where its images stand in the whole batch.

    Args:
      first: int32, place of the first one.
      images: int32, of the whole batch.
    """
    token = _WINDOW.set((first, images))
    try:
        yield
    finally:
        _WINDOW.reset(token)


@keras.saving.register_keras_serializable(package="pneumo")
class Dropout(keras.layers.Dropout):
    """Draws the mask of the whole batch, and takes its own rows of it.

    Each replica has the same seed. If each drew for its own images alone, all would drop the same
    places, and not those that one process drops.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """As keras.layers.Dropout."""
        at = _WINDOW.get()
        if at is None or not training or not self.rate:
            return super().call(inputs, training=training)
        first, images = at
        shape = keras.ops.shape(inputs)
        ones = keras.ops.ones((images, *shape[1:]), inputs.dtype)
        mask = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        # An image that only stands in for none at all is behind the last one of the batch.
        first = keras.ops.minimum(first, images - shape[0])
        return inputs * mask[first : first + shape[0]]
