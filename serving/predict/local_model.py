"""Answers about images from a SavedModel; needs TensorFlow alone, neither TFX nor Keras."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schema.errors import PneumoError
from schema.model_folder import GRAPH, newest_version, read_model_info
from serving.predict.input_files import read_file
from serving.predict.prediction import Prediction, rejected, to_prediction


@dataclass(frozen=True)
class Model:
    """A loaded SavedModel and the facts that it carries."""

    folder: Path
    facts: dict[str, Any]
    loaded: Any


def load_model(folder: Path) -> Model:
    """Loads a SavedModel, or the newest version in a folder of them.

    Raises:
      PneumoError: there is no SavedModel of this project.
    """
    chosen = folder if (folder / GRAPH).is_file() else newest_version(folder)
    if chosen is None or not (chosen / GRAPH).is_file():
        raise PneumoError(
            f"{folder} holds no SavedModel and no version of one; give the folder that "
            "`pneumo run` printed as model"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(chosen))
    if "serving_default" not in loaded.signatures:
        raise PneumoError(f"{chosen} has no signature serving_default; it is not one of ours")
    if "status" not in loaded.signatures["serving_default"].structured_outputs:
        raise PneumoError(
            f"{chosen} was exported by an older version: it gives no status of each image; "
            "export it anew with `pneumo run`"
        )
    return Model(chosen, read_model_info(chosen), loaded)


def predict_files(
    model: Model, files: Iterable[Path], batch_size: int = 16, signature: str = "serving_default"
) -> Iterator[Prediction]:
    """Answers in the order of the files; holds one batch at a time.

    A file that cannot be read, or that the model rejects, is answered with an error of its own; the
    others are answered as if it were not there.

    Args:
      model: what is asked.
      files: JPEG, PNG or DICOM.
      batch_size: files in one call.
      signature: serving_default, or explain for heat maps and boxes.

    Raises:
      PneumoError: the model has no such signature.
    """
    if signature not in model.loaded.signatures:
        raise PneumoError(
            f"{model.folder} has no signature {signature}; a model that `pneumo run` exports now "
            "has it"
        )
    source = iter(files)
    while batch := list(itertools.islice(source, batch_size)):
        contents: list[bytes] = []
        unread: dict[int, str] = {}
        for i, file in enumerate(batch):
            try:
                contents.append(read_file(file))
            except OSError as error:
                unread[i] = f"cannot be read: {error.strerror or error}"
            except PneumoError as error:
                unread[i] = str(error)
        rows = _ask(model, contents, signature)
        for i, file in enumerate(batch):
            name = str(file)
            yield rejected(name, unread[i]) if i in unread else to_prediction(name, next(rows))


def _ask(model: Model, contents: Sequence[bytes], signature: str) -> Iterator[dict[str, Any]]:
    """Rows of a signature, text decoded."""
    import tensorflow as tf

    if not contents:
        return
    answer = model.loaded.signatures[signature](image_bytes=tf.constant(contents))
    columns = {name: _plain(values.numpy().tolist()) for name, values in answer.items()}
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _plain(value: Any) -> Any:
    """Nested lists with text in place of bytes."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value
