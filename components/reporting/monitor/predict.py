"""Measures images and records that no server has logged, and runs a model on them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from components.ingest.checks import check_image
from components.ingest.refusal import Refusal
from components.progress import Step
from components.reporting.monitor.inputs import OK, Inputs, from_rows, log_files, read_logs
from components.reporting.records import Fields, content, read_fields, text
from schema import features as f
from schema.errors import PneumoError

SUFFIXES = (".jpeg", ".jpg", ".png")
BATCH = 16
Image = tuple[bytes, dict[str, Any]]


def load_model(folder: Path) -> Any:
    """Loads a SavedModel, or the newest version in a folder that a server watches.

    Raises:
      PneumoError: there is none.
    """
    versions = [path for path in folder.glob("*") if path.name.isdigit()]
    newest = max(versions, key=lambda path: int(path.name), default=folder)
    chosen = folder if (folder / "saved_model.pb").is_file() else newest
    if not (chosen / "saved_model.pb").is_file():
        raise PneumoError(f"no SavedModel in {folder}: give one with --model")
    import tensorflow as tf

    return tf.saved_model.load(str(chosen))


def read_inputs(path: Path, model: Any, embeddings: int) -> Inputs:
    """Reads a log, a folder of logs, records or images.

    Args:
      path: which.
      model: run on images and records; None: they are only measured.
      embeddings: number of images to embed.

    Raises:
      PneumoError: there are none of these.
    """
    if not path.exists():
        raise PneumoError(f"{path} does not exist: check the path")
    if files := log_files(path):
        return read_logs(files)
    if files := record_files(path):
        return from_rows(predict(measure_records(files), model, embeddings))
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    if files := [file for file in found if file.suffix.lower() in SUFFIXES and file.is_file()]:
        return from_rows(predict(measure_files(files), model, embeddings))
    raise PneumoError(
        f"{path} contains no .jsonl log of `pneumo serve --log-inputs`, no records and no .jpeg, "
        ".jpg or .png images"
    )


def record_files(folder: Path) -> list[Path]:
    """Returns the files of records that ingest wrote to a folder."""
    return sorted(folder.glob("*.tfrecord")) if folder.is_dir() else []


def measure_files(files: Iterable[Path]) -> Iterator[Image]:
    """Yields content and measures of image files, measured as ingest does."""
    for file in files:
        data = file.read_bytes()
        try:
            found = check_image(data, max_pixels=100_000_000, min_side=1)
        except Refusal as refusal:
            yield data, {"status": refusal.reason.upper()}
            continue
        brightness = found.stats[f.STATS_MEAN]
        size = {"height": found.height, "width": found.width}
        yield data, {**size, "brightness": brightness, "status": OK}


def measure_records(files: Iterable[str | Path]) -> Iterator[Image]:
    """Yields content and measures of records."""
    return map(_measure_record, read_fields(files))


def _measure_record(fields: Fields) -> Image:
    return content(fields), {
        "height": fields[f.IMAGE_HEIGHT][0],
        "width": fields[f.IMAGE_WIDTH][0],
        "brightness": fields[f.STATS_MEAN][0],
        "patient": text(fields, f.PATIENT_ID),
        "status": OK,
    }


def predict(images: Iterable[Image], model: Any, embeddings: int) -> Iterator[dict[str, Any]]:
    """Yields rows like those of a log.

    Args:
      images: content and measures.
      model: loaded SavedModel; None: rows have the measures only.
      embeddings: number of images to embed, if the model has the signature.
    """
    step, done = Step(), 0
    stream = iter(images)
    while batch := list(islice(stream, BATCH)):
        usable = [image for image in batch if image[1]["status"] == OK]
        if model is not None and usable:
            _add_outputs(model, usable, done < embeddings)
        done += len(batch)
        step("process", done)
        for _, row in batch:
            yield row


def _add_outputs(model: Any, images: list[Image], embed: bool) -> None:
    import tensorflow as tf

    sent = tf.constant([data for data, _ in images], tf.string)
    outputs = model.signatures["serving_default"](image_bytes=sent)
    found = {
        name: outputs[name].numpy() for name in ("score", "decision", "status") if name in outputs
    }
    if embed and "embed" in model.signatures:
        found["embedding"] = model.signatures["embed"](image_bytes=sent)["embedding"].numpy()
    for i, (_, row) in enumerate(images):
        for name, values in found.items():
            row[name] = values[i].decode() if isinstance(values[i], bytes) else values[i]
