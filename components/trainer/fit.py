"""Trains the head on embedded features."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.trainer.embed import Embedded
from components.trainer.options import TrainingOptions

if TYPE_CHECKING:
    import keras

log = logging.getLogger("pneumo.fit")


@dataclass(frozen=True)
class Fitted:
    """What training left.

    Attributes:
      history: one list for each curve, an entry for each epoch; and `best_epoch`, counted from 1.
      class_weight: class index -> weight in the loss; empty when there are none.
    """

    history: dict[str, Any]
    class_weight: dict[int, float]


def balanced_weights(labels: np.ndarray, classes: int) -> dict[int, float]:
    """Weights that make every class count the same: n / (classes * n_c).

    The formula of King & Zeng (2001), as scikit-learn's "balanced" has it.

    Raises:
      ValueError: a class has no example.
    """
    counts = np.bincount(labels, minlength=classes)
    if len(counts) > classes or not counts.all():
        raise ValueError(f"each of {classes} classes needs an example; counts are {list(counts)}")
    return {i: float(len(labels) / (classes * n)) for i, n in enumerate(counts)}


def fit_head(
    head: "keras.Model", train: Embedded, val: Embedded, options: TrainingOptions, folder: Path
) -> Fitted:
    """Trains the head in place and leaves it at its best epoch by validation loss.

    Writes to `folder`: `tensorboard/`, `checkpoints/best.weights.h5`, `history.json`.

    Args:
      head: logits model of `build_head`.
      train: features and labels that it learns from.
      val: features and labels that choose the epoch.
      options: optimiser, epochs, patience, class weights.
      folder: where logs and checkpoints go.
    """
    import keras

    classes = head.output_shape[-1]
    weights = balanced_weights(train.labels, classes) if options.class_weight == "balanced" else {}
    head.compile(
        optimizer=keras.optimizers.AdamW(
            learning_rate=options.learning_rate, weight_decay=options.weight_decay
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    history = head.fit(
        np.asarray(train.features),
        train.labels,
        validation_data=(np.asarray(val.features), val.labels),
        epochs=options.epochs,
        batch_size=options.batch_size,
        class_weight=weights or None,
        verbose=0,
        callbacks=[
            keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
            keras.callbacks.ModelCheckpoint(
                str(checkpoints / "best.weights.h5"),
                monitor="val_loss",
                save_best_only=True,
                save_weights_only=True,
            ),
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=options.patience, restore_best_weights=True
            ),
        ],
    )
    curves: dict[str, Any] = {
        name: [float(value) for value in values] for name, values in history.history.items()
    }
    epochs = len(curves["loss"])
    curves["epochs"] = list(range(1, epochs + 1))
    curves["best_epoch"] = int(np.argmin(curves["val_loss"])) + 1
    # EarlyStopping restores the best weights only when it stops the run itself.
    head.load_weights(str(checkpoints / "best.weights.h5"))
    (folder / "history.json").write_text(json.dumps(curves, indent=1))
    log.info(
        "trained %d epochs, best %d: val_loss %.4f, val_accuracy %.4f",
        epochs,
        curves["best_epoch"],
        curves["val_loss"][curves["best_epoch"] - 1],
        curves["val_accuracy"][curves["best_epoch"] - 1],
    )
    return Fitted(curves, weights)
