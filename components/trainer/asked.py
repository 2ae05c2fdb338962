"""Weights of a graph that was compiled elsewhere: looked for where the node runs."""

import hashlib
import tempfile
from pathlib import Path

from components.trainer.options import ModelOptions
from components.trainer.trunks import TRUNKS
from components.trainer.weights import Weights, resolve_weights
from schema.storage import fetch, is_remote, join

ASKED = "asked"


def ask(model: ModelOptions) -> Weights:
    """What stands in a compiled graph: `file` is what was asked for, `reason` is on_missing."""
    return Weights(ASKED, file=model.weights, reason=model.on_missing)


def settled(weights: Weights, trunk: str) -> Weights:
    """The weights themselves; those that have been found already are handed through.

    `file` of those that were asked for is imagenet, random, a file, or a URI: of a weight file, or
    of a folder that holds one under Keras's name.

    Raises:
      PneumoError: they cannot be had.
    """
    if weights.kind != ASKED:
        return weights
    asked = weights.file
    if is_remote(asked):
        name = TRUNKS[trunk].weight_file
        uri = asked if asked.endswith((".h5", ".hdf5")) else join(asked, name)
        # One place for each address: several nodes on one machine fetch it once.
        folder = hashlib.sha256(uri.encode()).hexdigest()[:16]
        file = Path(tempfile.gettempdir()) / "pneumo-weights" / folder / name
        asked = str(file if file.is_file() else fetch(uri, file))
    values = {"trunk": trunk, "weights": asked, "on_missing": weights.reason or "stop"}
    return resolve_weights(ModelOptions.model_validate(values))
