"""Asks the exported model about every record of a split."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.baseline.marker import has_model
from components.embedder.records import Records, parse_records
from components.evaluation import table
from components.progress import Step
from components.scorer.columns import columns
from schema.labels import Task

ABOUT = "assets.extra/pneumo.json"


def score(
    model: Any, files: list[str], of: Task, batch_size: int, what: str = "score"
) -> Iterator[dict[str, list[Any]]]:
    """Streams the predictions of gzip TFRecord files, a batch at a time.

    Args:
      model: loaded SavedModel with the signature `examples`.
      files: paths of gzip TFRecords of raw records.
      of: the task of the model.
      batch_size: images in one call.
      what: for the progress line.

    Yields:
      columns of components.evaluation.table.
    """
    import tensorflow as tf

    examples = model.signatures["examples"]
    step, done = Step(), 0
    batches = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(batch_size)
    for batch in batches.prefetch(1):
        records = Records.of_batches([parse_records(batch)])
        answer = {name: value.numpy() for name, value in examples(batch).items()}
        done += len(records)
        step(what, done)
        yield columns(records, of, answer)


class Executor(base_executor.BaseExecutor):
    """Writes `predictions.parquet`, and `baseline.parquet` where there is a model to beat.

    Beside each stands a `.json` with the facts that the model carries (threshold, task, weights).
    """

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
        out = Path(artifact_utils.get_single_uri(output_dict["predictions"]))
        asked = [("model", table.FILE, "score")]
        if has_model(input_dict.get("baseline_model")):
            asked.append(("baseline_model", table.BASELINE, "score the blessed model"))
        for key, name, what in asked:
            folder = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key]))
            facts = (Path(folder) / ABOUT).read_text()
            (out / name).with_suffix(".json").write_text(facts)
            of = Task.from_dict(json.loads(facts)["task"])
            model = tf.saved_model.load(folder)
            batch_size = int(exec_properties["batch_size"])
            if not table.write(out / name, score(model, files, of, batch_size, what)):
                raise ValueError(f"split {exec_properties['split']!r} of {uri} has no records")
