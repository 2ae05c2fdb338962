"""Reads what BulkInferrer wrote and writes the table."""

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.batch_results.results import FILE, ids_of, logs_of, reconcile, row_of, write
from components.progress import Step
from components.scorer.executor import ABOUT
from schema.labels import Task


class Executor(base_executor.BaseExecutor):
    """Writes `results.parquet` and `results.json`; the latter alone if nothing was asked."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Makes the table.

        Raises:
          PneumoError: a record has no row, or more than one.
        """
        results = artifact_utils.get_single_instance(output_dict["results"])
        out = Path(results.uri)
        out.mkdir(parents=True, exist_ok=True)
        blessing = artifact_utils.get_single_instance(input_dict["model_blessing"])
        if blessing.get_int_custom_property("blessed") != 1:
            about: dict[str, Any] = {"rows": 0, "reason": "the model did not pass the gate"}
        else:
            about = self._table(input_dict, out)
        results.set_int_custom_property("rows", about["rows"])
        (out / FILE).with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")

    def _table(self, input_dict: dict[str, list[types.Artifact]], out: Path) -> dict[str, Any]:
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        facts = json.loads((Path(model) / ABOUT).read_text())
        of = Task.from_dict(facts["task"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        records = [
            str(path)
            for split in artifact_utils.decode_split_names(examples.split_names)
            for path in sorted(Path(artifact_utils.get_split_uri([examples], split)).glob("*.gz"))
        ]
        given = ids_of(records)
        answers = Path(artifact_utils.get_single_uri(input_dict["inference_result"]))
        logs = logs_of(sorted(str(path) for path in answers.glob("*.gz")))
        step = Step()
        decisions: dict[str, int] = {}

        def rows() -> Any:
            for done, log in enumerate(logs, 1):
                row = row_of(log, facts, of)
                decisions[row["decision"]] = decisions.get(row["decision"], 0) + 1
                step("table", done, given.total())
                yield row

        answered = write(out / FILE, rows(), of.classes)
        return {
            "rows": reconcile(given, answered),
            "decisions": decisions,
            "classes": list(of.classes),
            **{key: facts.get(key) for key in ("name", "threshold", "band", "notice")},
        }
