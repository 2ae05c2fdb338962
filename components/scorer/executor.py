"""Asks the exported model about every record of a split."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.progress import Step
from components.scorer import table
from schema import features as f

_COLUMNS = {
    "sha256": f.IMAGE_SHA256,
    "filename": f.IMAGE_FILENAME,
    "patient_id": f.PATIENT_ID,
    "pathogen": f.PATHOGEN,
    "source": f.IMAGE_SOURCE,
}


def score(model: Any, files: list[str], batch_size: int) -> Iterator[dict[str, list[Any]]]:
    """Streams the predictions of gzip TFRecord files, a batch at a time.

    Args:
      model: loaded SavedModel with the signatures `examples` and `labels`.
      files: paths of gzip TFRecords of raw records.
      batch_size: images in one call.

    Yields:
      columns of components.scorer.table.
    """
    import tensorflow as tf

    examples, labels = model.signatures["examples"], model.signatures["labels"]
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in _COLUMNS.values()}
    step = Step()
    done = 0
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(batch_size)
    for batch in records.prefetch(1):
        parsed = tf.io.parse_example(batch, spec)
        answer = examples(batch)
        columns: dict[str, list[Any]] = {
            column: [value.decode(errors="replace") for value in parsed[name].numpy()]
            for column, name in _COLUMNS.items()
        }
        columns["label"] = next(iter(labels(batch).values())).numpy().tolist()
        columns["score"] = answer["score"].numpy().tolist()
        columns["probabilities"] = answer["probabilities"].numpy().tolist()
        done += len(columns["score"])
        step("score", done)
        yield columns


class Executor(base_executor.BaseExecutor):
    """Writes `predictions.parquet`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Scores the split.

        Raises:
          ValueError: the split has no records.
        """
        import tensorflow as tf

        examples = artifact_utils.get_single_instance(input_dict["examples"])
        uri = artifact_utils.get_split_uri([examples], exec_properties["split"])
        files = sorted(str(path) for path in Path(uri).glob("*.gz"))
        folder = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        model = tf.saved_model.load(folder)
        out = Path(artifact_utils.get_single_uri(output_dict["predictions"])) / table.FILE
        rows = table.write(out, score(model, files, int(exec_properties["batch_size"])))
        if not rows:
            raise ValueError(f"split {exec_properties['split']!r} of {uri} has no records")
