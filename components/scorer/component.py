"""The Scorer node."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils

from components.artifacts import Predictions
from components.examples import split_files
from components.model_to_beat import has_model
from core.embedding.records import ImageRecords, parse_records
from core.predictions import table
from core.predictions.columns import prediction_columns
from core.progress import ProgressReporter
from schema.labels import Task
from schema.model_folder import MODEL_INFO, load_saved_model


@component
def Scorer(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    predictions: OutputArtifact[Predictions],
    baseline_model: InputArtifact[Model] = None,
    split: Parameter[str] = "test",
    batch_size: Parameter[int] = 32,
) -> None:
    """Runs the signature `examples` of a model on one split and stores every prediction.

    TFMA's Evaluator stores totals only; confidence intervals, paired tests and the report
    need one prediction per image.

    Usage:
      scorer = Scorer(examples=example_gen.outputs["examples"], model=trainer.outputs["model"])

    Args:
      examples: raw records.
      model: output of Trainer.
      predictions: output; `predictions.parquet`, `baseline.parquet` of the baseline, and for each
        a `.json` with the metadata of the model (threshold, task, weights).
      baseline_model: latest blessed model, if there is one.
      split: name of the split.
      batch_size: images per call of the model.

    Raises:
      ValueError: the split has no records.
    """
    files = split_files(examples, split)
    models = [(model, table.FILE, "score")]
    if has_model(baseline_model):
        models.append((baseline_model, table.BASELINE, "score the blessed model"))
    for artifact, name, step in models:
        folder = Path(path_utils.serving_model_path(artifact.uri))
        file = Path(predictions.uri) / name
        facts = (folder / MODEL_INFO).read_text()
        file.with_suffix(".json").write_text(facts)
        task = Task.from_dict(json.loads(facts)["task"])
        loaded = load_saved_model(folder)
        if not table.write(file, score(loaded, files, task, batch_size, step)):
            raise ValueError(f"split {split!r} of {examples.uri} has no records")


def score(
    model: Any, files: list[str], task: Task, batch_size: int, step: str = "score"
) -> Iterator[dict[str, list[Any]]]:
    """Streams the predictions of gzip TFRecord files, a batch at a time.

    Args:
      model: loaded SavedModel with the signature `examples`.
      files: paths of gzip TFRecords of raw records.
      task: of the model.
      batch_size: images per call.
      step: name of the step in the progress line.

    Yields:
      columns of core.predictions.table.
    """
    import tensorflow as tf

    examples = model.signatures["examples"]
    progress, done = ProgressReporter(), 0
    batches = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(batch_size)
    for batch in batches.prefetch(1):
        records = ImageRecords.from_batches([parse_records(batch)])
        outputs = {name: value.numpy() for name, value in examples(batch).items()}
        done += len(records)
        progress(step, done)
        yield prediction_columns(records, task, outputs)
