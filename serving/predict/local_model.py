"""Predictions from a SavedModel in this process; needs TensorFlow, but neither TFX nor Keras."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from schema.errors import PneumoError
from schema.model_folder import GRAPH, load_saved_model, newest_version, read_model_info
from serving.predict.input_files import read_file, read_or_reason
from serving.predict.prediction import Prediction, rejected, to_prediction


@dataclass(frozen=True)
class LocalModel:
    """A loaded SavedModel.

    Attributes:
      folder: of the SavedModel.
      info: its metadata, see `schema.model_folder.read_model_info`.
      loaded: object returned by `tf.saved_model.load`.
    """

    folder: Path
    info: dict[str, Any]
    loaded: Any


def load_model(folder: str | Path) -> LocalModel:
    """Loads a SavedModel, or the newest version in a folder of versions.

    Raises:
      PneumoError: the folder has no SavedModel of this project.
    """
    folder = Path(folder)
    version = folder if (folder / GRAPH).is_file() else newest_version(folder)
    if version is None or not (version / GRAPH).is_file():
        raise PneumoError(
            f"{folder} contains no SavedModel and no version of one; pass the folder that "
            "`pneumo run` printed as model"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    loaded = load_saved_model(version)
    if "serving_default" not in loaded.signatures:
        raise PneumoError(
            f"{version} has no signature serving_default; pass a model exported by `pneumo run`"
        )
    if "status" not in loaded.signatures["serving_default"].structured_outputs:
        raise PneumoError(
            f"{version} was exported by an older version: it has no output `status`; export the "
            "model again with `pneumo run`"
        )
    return LocalModel(version, read_model_info(version), loaded)


def predict_files(
    model: LocalModel,
    files: Iterable[str | Path],
    batch_size: int = 16,
    signature: str = "serving_default",
) -> Iterator[Prediction]:
    """Yields predictions in the order of the files; keeps one batch in memory.

    A file that cannot be read, or that the model rejects, gives a prediction with `error` and does
    not affect the others.

    Args:
      model: model to call.
      files: JPEG, PNG or DICOM.
      batch_size: files per call.
      signature: serving_default, or explain for heat maps and boxes.

    Raises:
      PneumoError: the model does not have the signature.
    """
    if signature not in model.loaded.signatures:
        raise PneumoError(
            f"{model.folder} has no signature {signature}; export the model again with `pneumo run`"
        )
    source = iter([files] if isinstance(files, str) else files)
    while batch := list(itertools.islice(source, batch_size)):
        contents: list[bytes] = []
        errors: dict[int, str] = {}
        for i, file in enumerate(batch):
            content, reason = read_or_reason(partial(read_file, Path(file)))
            if reason:
                errors[i] = reason
            else:
                contents.append(content)
        rows = _call(model, contents, signature)
        for i, file in enumerate(batch):
            name = str(file)
            yield rejected(name, errors[i]) if i in errors else to_prediction(name, next(rows))


def _call(model: LocalModel, contents: Sequence[bytes], signature: str) -> Iterator[dict[str, Any]]:
    """Yields the outputs of a signature for each image."""
    import tensorflow as tf

    if not contents:
        return
    outputs = model.loaded.signatures[signature](image_bytes=tf.constant(contents))
    columns = {name: _decode_text(values.numpy().tolist()) for name, values in outputs.items()}
    for row in zip(*columns.values(), strict=True):
        yield dict(zip(columns, row, strict=True))


def _decode_text(value: Any) -> Any:
    """Decodes the byte strings in nested lists."""
    if isinstance(value, list):
        return [_decode_text(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value
