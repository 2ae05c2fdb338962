"""TensorBoard logs: curves, histograms of weights, and what the network was shown."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

EVERY = 10  # epochs between two histograms of a long run


class Logs:
    """Called after each epoch with its numbers."""

    def __init__(self, folder: Path, model: "keras.Model") -> None:
        import tensorflow as tf

        self.model = model
        self.writer = tf.summary.create_file_writer(str(folder))

    def __call__(self, epoch: int, numbers: dict[str, float]) -> None:
        """Writes scalars, and histograms in the first epoch and in every tenth."""
        import tensorflow as tf

        with self.writer.as_default(step=epoch):
            for name, value in numbers.items():
                tf.summary.scalar(f"epoch_{name}", value)
            if epoch % EVERY == 1:
                for variable in self.model.trainable_variables:
                    tf.summary.histogram(variable.path, np.asarray(variable.value))
        self.writer.flush()


def log_images(folder: Path, name: str, images: np.ndarray) -> None:
    """Writes images, uint8 [n, s, s, 1], under a name."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        tf.summary.image(name, images, max_outputs=len(images))
    writer.close()
