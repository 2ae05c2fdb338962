"""Answers about images from a SavedModel; needs TensorFlow alone, neither TFX nor Keras."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schema.errors import PneumoError

SUFFIXES = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Prediction:
    """The answer about one image.

    Attributes:
      file: as given.
      predicted: class name at the model's operating point; empty when there was an error.
      decision: POSITIVE, NEGATIVE, REFER where the score lies in the band of abstention, or
        REJECTED where the model could not use the image.
      score: calibrated probability of the positive classes together.
      probabilities: class name -> calibrated probability.
      abstained: whether a person has to look (REFER, REJECTED).
      status: what the model says of the file, see `serving.guard`; empty where it was not asked.
      error: why there is no answer, in words; empty otherwise.
    """

    file: str
    predicted: str = ""
    decision: str = ""
    score: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    abstained: bool = False
    status: str = ""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without empty parts."""
        return {key: value for key, value in asdict(self).items() if value not in ("", None, {})}


@dataclass(frozen=True)
class Model:
    """A loaded SavedModel and the facts that it carries."""

    folder: Path
    facts: dict[str, Any]
    loaded: Any


def newest_version(folder: Path) -> Path | None:
    """The version with the highest number below a folder that a server watches."""
    if not folder.is_dir():
        return None
    versions = [path for path in folder.iterdir() if path.name.isdigit() and path.is_dir()]
    return max(versions, key=lambda path: int(path.name), default=None)


def load_model(folder: Path) -> Model:
    """Loads a SavedModel, or the newest version in a folder of them.

    Raises:
      PneumoError: there is no SavedModel of this project.
    """
    chosen = folder if (folder / "saved_model.pb").is_file() else newest_version(folder)
    if chosen is None or not (chosen / "saved_model.pb").is_file():
        raise PneumoError(
            f"{folder} holds no SavedModel and no version of one; give the folder that "
            "`pneumo run` printed as model"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    facts_file = chosen / "assets.extra" / "pneumo.json"
    facts = json.loads(facts_file.read_text()) if facts_file.is_file() else {}
    loaded = tf.saved_model.load(str(chosen))
    if "serving_default" not in loaded.signatures:
        raise PneumoError(f"{chosen} has no signature serving_default; it is not one of ours")
    if "status" not in loaded.signatures["serving_default"].structured_outputs:
        raise PneumoError(
            f"{chosen} was exported by an older version: it gives no status of each image; "
            "export it anew with `pneumo run`"
        )
    return Model(chosen, facts, loaded)


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Expands folders to the images in them, in order of name.

    Raises:
      PneumoError: a path does not exist, or a folder holds no image.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not found:
                raise PneumoError(f"folder {path} holds no .jpeg, .jpg or .png file")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise PneumoError(f"image {path} does not exist; check the path")
    return files


def predict_files(
    model: Model, files: Sequence[Path], batch_size: int = 16
) -> Iterator[Prediction]:
    """Answers in the order of the files, a batch at a time.

    A file that cannot be read, or that the model rejects, is answered with an error of its own; the
    others are answered as if it were not there.
    """
    for start in range(0, len(files), batch_size):
        chunk = files[start : start + batch_size]
        readable: list[tuple[Path, bytes]] = []
        broken: dict[Path, str] = {}
        for file in chunk:
            try:
                readable.append((file, file.read_bytes()))
            except OSError as error:
                broken[file] = f"cannot be read: {error.strerror}"
        answers = _answer(model, readable)
        for file in chunk:
            yield Prediction(str(file), error=broken[file]) if file in broken else next(answers)


def in_words(status: str) -> str:
    """What a status means for the owner of the file; "" for OK."""
    code, _, detail = status.partition(": ")
    said = _WORDS.get(code, status)
    return f"{said} ({detail})" if detail and said else said


_WORDS = {
    "OK": "",
    "EMPTY": "the file is empty",
    "NOT_JPEG_OR_PNG": "not a JPEG or PNG file",
    "TOO_MANY_BYTES": "the file is too large",
    "TOO_MANY_PIXELS": "the image is too large",
    "TOO_SMALL": "the image is too small",
    "TRUNCATED": "the file is truncated",
    "DAMAGED": "the file is damaged",
}


def _answer(model: Model, images: list[tuple[Path, bytes]]) -> Iterator[Prediction]:
    import tensorflow as tf

    if not images:
        return
    answer = model.loaded.signatures["serving_default"](
        image_bytes=tf.constant([content for _, content in images])
    )
    names = [name.decode() for name in answer["classes"].numpy()[0]]
    columns = ("status", "predicted_class", "decision", "score", "probabilities", "abstained")
    rows = zip(*(answer[column].numpy().tolist() for column in columns), strict=True)
    for (file, _), row in zip(images, rows, strict=True):
        status, predicted, decision, score, probabilities, abstained = row
        error = in_words(status.decode())
        yield Prediction(
            str(file),
            predicted.decode(),
            decision.decode(),
            None if error else score,
            {} if error else dict(zip(names, probabilities, strict=True)),
            abstained,
            status.decode(),
            error,
        )
