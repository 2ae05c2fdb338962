"""Reads what a run left and writes the card."""

import json
from pathlib import Path
from typing import Any

import yaml
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.model_card import lineage
from components.model_card.data import Facts
from components.model_card.page import write_card
from schema.files import read_json
from schema.labels import Task
from schema.storage import some_of

_REJECTS = 200  # rows; the counts by reason are whole


def read_rejects(file: Path) -> list[dict[str, Any]]:
    """The first rejected files."""
    found: list[dict[str, Any]] = []
    if file.is_file():
        with file.open() as lines:
            for line in lines:
                if len(found) == _REJECTS:
                    break
                found.append(json.loads(line))
    return found


class Executor(base_executor.BaseExecutor):
    """Writes `card.html` and `card.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads every input, then writes once."""
        folders = {key: Path(artifact_utils.get_single_uri(of)) for key, of in input_dict.items()}
        model = Path(path_utils.serving_model_path(str(folders["model"])))
        names = ("dataset.json", "leakage.json", "rejects.jsonl")
        with some_of(exec_properties["records"], names) as records:
            dataset, leakage = (read_json(records / name) for name in names[:2])
            rejects = read_rejects(records / names[2])
        facts = Facts(
            task=Task.from_dict(json.loads(exec_properties["task"])),
            config=yaml.safe_load(exec_properties["config"]),
            dataset=dataset,
            leakage=leakage,
            rejects=rejects,
            training=read_json(folders["model_run"] / "training.json"),
            about=read_json(model / "assets.extra" / "pneumo.json"),
            report=read_json(folders["report"] / "report.json"),
            decision=read_json(folders["blessing"] / "decision.json"),
            lineage=lineage.rows(input_dict),
            run=self._run(),
        )
        write_card(facts, Path(artifact_utils.get_single_uri(output_dict["card"])))

    def _run(self) -> dict[str, str]:
        """Names of this run in ML Metadata; empty outside a pipeline."""
        context = self._context
        if context is None or context.pipeline_info is None:
            return {}
        return {
            "pipeline": str(context.pipeline_info.id),
            "run_id": str(context.pipeline_run_id or ""),
            "execution": str(context._unique_id or ""),
        }
