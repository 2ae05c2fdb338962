"""The StressTest node."""

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils

from components.artifacts import CorruptionResults
from components.examples import split_files
from core.embedding.records import ImageRecords, parse_records
from core.predictions.stress_test import (
    CONDITIONS,
    FILE,
    StressScores,
    draw_patients,
    score_conditions,
    stress_test_results,
)
from core.progress import ProgressReporter
from core.training.data.transformed_images import decode_records
from schema import features as f
from schema.errors import PneumoError
from schema.example import encode
from schema.files import json_values, write_atomically
from schema.labels import Task
from schema.model_folder import MODEL_INFO

SPLIT = "val"


@component
def StressTest(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    results: OutputArtifact[CorruptionResults],
    images: Parameter[int] = 0,
    resamples: Parameter[int] = 2000,
    seed: Parameter[int] = 0,
    batch_size: Parameter[int] = 32,
) -> None:
    """Measures a model on corrupted images, at its own operating point.

    Corrupts the pixels of validation at the size of the model and predicts with the signature
    `examples`. Only the score is measured, also for a task with boxes.

    Usage:
      stress_test = StressTest(examples=transform.outputs["transformed_examples"],
                               model=trainer.outputs["model"], images=500)

    Args:
      examples: output of Transform.
      model: output of Trainer.
      results: output; `corruptions.json`, see core.predictions.stress_test.stress_test_results.
      images: largest number of images, drawn by patient; 0: all.
      resamples: of the bootstrap.
      seed: of the draw, of the noise and of the bootstrap.
      batch_size: images per call of the model.

    Raises:
      PneumoError: no validation image has a label in the task, or no patient is small enough.
    """
    import tensorflow as tf

    folder = Path(path_utils.serving_model_path(model.uri))
    facts = json.loads((folder / MODEL_INFO).read_text())
    files = split_files(examples, SPLIT)
    records = _read_records(files)
    labels = records.binary_labels(Task.from_dict(facts["task"]))
    selected = draw_patients(records.patient_id, labels, images or None, seed)
    if not selected.any():
        raise PneumoError(
            f"stress test: no validation image can be used; {(labels >= 0).sum()} have a label in "
            f"task {facts['task']['name']!r}; check them or raise evaluation.corruptions.images"
        )
    loaded = tf.saved_model.load(str(folder))
    total = int(selected.sum()) * (1 + len(CONDITIONS))
    progress = ProgressReporter()
    uncorrupted, corrupted = score_conditions(
        _read_images(files, selected, int(facts["image_size"]), batch_size),
        partial(_score, loaded.signatures["examples"]),
        seed,
        lambda done: progress("stress test", done, total),
    )
    scores = StressScores(
        labels=labels[selected],
        patients=records.patient_id[selected],
        uncorrupted=uncorrupted,
        corrupted=corrupted,
        threshold=float(facts["threshold"]),
    )
    numbers = {
        "split": SPLIT,
        "labeled": int((labels >= 0).sum()),
        **stress_test_results(scores, resamples, seed),
    }
    out = Path(results.uri)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / FILE, json.dumps(json_values(numbers), indent=1) + "\n")


def _read_records(files: list[str]) -> ImageRecords:
    import tensorflow as tf

    batches = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(1000)
    return ImageRecords.from_batches(list(batches.map(parse_records).as_numpy_iterator()))


def _read_images(
    files: list[str], selected: np.ndarray, size: int, batch_size: int
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Yields pixels uint8 [b, size, size] and the ids of the selected records, in their order."""
    import tensorflow as tf

    records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    kept = itertools.compress(records, selected)
    while batch := list(itertools.islice(kept, batch_size)):
        pixels, parsed = decode_records(tf.constant(batch), size)
        yield pixels.numpy()[..., 0], [id_.decode() for id_ in parsed[f.IMAGE_SHA256].numpy()]


def _score(signature: Callable[[Any], Any], pixels: np.ndarray) -> np.ndarray:
    """Predicts the scores of gray images, uint8 [b, size, size], with the signature `examples`.

    The Transform graph inside the model leaves a PNG file of the right size unchanged.
    """
    import tensorflow as tf

    height, width = pixels.shape[1:]
    files = tf.io.encode_png(pixels[..., np.newaxis], compression=1).numpy()
    serialized = [
        encode({f.IMAGE_ENCODED: file, f.IMAGE_HEIGHT: height, f.IMAGE_WIDTH: width})
        for file in files
    ]
    return np.asarray(signature(tf.constant(serialized))["score"].numpy())
