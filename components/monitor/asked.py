"""Images and records that no server has seen: they are measured here, and a model is asked."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from components.ingest.checks import check_image
from components.ingest.refusal import Refusal
from components.progress import Step
from schema import features as f
from schema.errors import PneumoError
from schema.example import decode
from schema.tfrecord import read_records

SUFFIXES = (".jpeg", ".jpg", ".png")
BATCH = 16
Image = tuple[bytes, dict[str, Any]]


def load(folder: Path) -> Any:
    """Loads a SavedModel, or the newest version below a folder that a server watches.

    Raises:
      PneumoError: there is none.
    """
    chosen = folder
    if not (folder / "saved_model.pb").is_file():
        versions = [path for path in folder.glob("*") if path.name.isdigit()]
        chosen = max(versions, key=lambda path: int(path.name), default=folder)
    if not (chosen / "saved_model.pb").is_file():
        raise PneumoError(f"{folder} holds no model to ask; give one with --model")
    import tensorflow as tf

    return tf.saved_model.load(str(chosen))


def images_below(path: Path) -> list[Path]:
    """Image files of a folder in order of name, or the one that is given."""
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    return [file for file in found if file.suffix.lower() in SUFFIXES and file.is_file()]


def measured(files: Iterable[Path]) -> Iterator[Image]:
    """Bytes and measures of image files, as ingest measures them."""
    for file in files:
        content = file.read_bytes()
        try:
            found = check_image(content, max_pixels=100_000_000, min_side=1)
        except Refusal as refusal:
            yield content, {"status": refusal.reason.upper()}
            continue
        yield (
            content,
            {
                "height": found.height,
                "width": found.width,
                "brightness": found.stats[f.STATS_MEAN],
                "status": "OK",
            },
        )


def recorded(folder: Path) -> Iterator[Image]:
    """Bytes and measures of the records that ingest wrote."""
    for file in sorted(folder.glob("*.tfrecord")):
        for record in read_records(file):
            yield of_record(record)


def of_record(record: bytes) -> Image:
    """Bytes and measures of one serialized record."""
    found: dict[str, Any] = decode(record)
    return (
        found[f.IMAGE_ENCODED][0],
        {
            "height": found[f.IMAGE_HEIGHT][0],
            "width": found[f.IMAGE_WIDTH][0],
            "brightness": found[f.STATS_MEAN][0],
            "patient": found[f.PATIENT_ID][0].decode(errors="replace"),
            "status": "OK",
        },
    )


def answered(images: Iterable[Image], model: Any, most_embedded: int) -> Iterator[dict[str, Any]]:
    """Rows like those of a log.

    Args:
      images: bytes and measures.
      model: loaded SavedModel, or None: then there are measures alone.
      most_embedded: the first so many images get their embedding, where the model gives one.
    """
    step, done = Step(), 0
    stream = iter(images)
    while batch := list(islice(stream, BATCH)):
        rows = [dict(measures) for _, measures in batch]
        good = [i for i, row in enumerate(rows) if row["status"] == "OK"]
        if model is not None and good:
            _ask(model, [batch[i][0] for i in good], [rows[i] for i in good], done < most_embedded)
        done += len(rows)
        step("look at", done)
        yield from rows


def _ask(model: Any, contents: list[bytes], rows: list[dict[str, Any]], embed: bool) -> None:
    import tensorflow as tf

    sent = tf.constant(contents, tf.string)
    answer = {
        k: v.numpy() for k, v in model.signatures["serving_default"](image_bytes=sent).items()
    }
    for i, row in enumerate(rows):
        row["score"] = float(answer["score"][i])
        row["decision"] = answer["decision"][i].decode()
        if "status" in answer:
            row["status"] = answer["status"][i].decode()
    if embed and "embed" in model.signatures:
        vectors = model.signatures["embed"](image_bytes=sent)["embedding"].numpy()
        for row, vector in zip(rows, vectors, strict=True):
            row["embedding"] = vector
