"""Reads what a run left and writes the model card."""

import json
from pathlib import Path
from typing import Any

import yaml
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from core.reporting.card import lineage
from core.reporting.card.page import read_ingest, write_card
from core.reporting.card.run_files import RunFiles
from schema.files import read_json
from schema.labels import Task
from schema.model_folder import read_model_info
from schema.storage import fetch_files


class Executor(base_executor.BaseExecutor):
    """Writes `card.html` and `card.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads every input, then writes once."""
        folders = {
            key: Path(artifact_utils.get_single_uri(artifacts))
            for key, artifacts in input_dict.items()
        }
        model = Path(path_utils.serving_model_path(str(folders["model"])))
        names = ("dataset.json", "leakage.json", "rejects.jsonl")
        with fetch_files(exec_properties["records"], names) as records:
            ingest = read_ingest(records)
        context = self._context
        run = {}
        if context is not None and context.pipeline_info is not None:
            run = {
                "pipeline": str(context.pipeline_info.id),
                "run_id": str(context.pipeline_run_id or ""),
                "execution": str(context._unique_id or ""),
            }
        files = RunFiles(
            task=Task.from_dict(json.loads(exec_properties["task"])),
            config=yaml.safe_load(exec_properties["config"]),
            **ingest,
            training=read_json(folders["model_run"] / "training.json"),
            about=read_model_info(model),
            report=read_json(folders["report"] / "report.json"),
            decision=read_json(folders["blessing"] / "decision.json"),
            lineage=lineage.lineage_rows(input_dict),
            run=run,
        )
        write_card(files, Path(artifact_utils.get_single_uri(output_dict["card"])))
