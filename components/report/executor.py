"""Gathers the artifacts of a run and writes the page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.report import gather
from components.report.data import Predicted, ReportData
from components.report.numbers import mistakes
from components.report.page import write_report
from components.report.shortcuts import shortcut_check
from components.scorer import table
from schema.labels import task


def files_of(examples: types.Artifact, split: str) -> list[str]:
    """Paths of the gzip TFRecords of a split."""
    uri = Path(artifact_utils.get_split_uri([examples], split))
    return sorted(str(path) for path in uri.glob("*.gz"))


def predicted(folder: Path) -> Predicted:
    """The Scorer's table without images that have no label in the task."""
    rows = table.read(folder).to_pandas()
    rows = rows[rows["label"] >= 0]
    return Predicted(
        sha256=rows["sha256"].to_numpy(str),
        filename=rows["filename"].to_numpy(str),
        patient=rows["patient_id"].to_numpy(str),
        pathogen=rows["pathogen"].to_numpy(str),
        source=rows["source"].to_numpy(str),
        label=rows["label"].to_numpy(np.int64),
        score=rows["score"].to_numpy(np.float64),
    )


def notices(dataset: dict[str, Any] | None, training: dict[str, Any] | None) -> list[str]:
    """Lines that must stand first on the page."""
    from components.trainer.weights import Weights

    lines = []
    if dataset and dataset.get("synthetic"):
        lines.append(
            "SYNTHETIC DATA: these radiographs were drawn by a program; the numbers show that the "
            "pipeline works and say nothing about real X-rays."
        )
    if training:
        weights = Weights(**training["weights"])
        lines += [line for line in [weights.notice(training["trunk"])] if line]
    return lines


class Executor(base_executor.BaseExecutor):
    """Writes `report.html` and `report.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads every input, then writes once."""

        def one(key: str) -> types.Artifact:
            return artifact_utils.get_single_instance(input_dict[key])

        config = yaml.safe_load(exec_properties["config"])
        evaluation = config["evaluation"]
        of = task(config["data"]["task"])
        records, run = Path(exec_properties["records"]), Path(one("model_run").uri)
        dataset = gather.read_json(records / "dataset.json")
        if dataset is not None:
            dataset["shortcuts"] = shortcut_check(records / "manifest.jsonl", of)
        training = gather.read_json(run / "training.json")
        answers = predicted(Path(one("predictions").uri))
        wrong = mistakes(answers, evaluation["threshold"])
        wanted = {row["sha256"] for rows in wrong.values() for row in rows}
        summary = run / "model_summary.txt"
        pushed = one("pushed_model")
        was_pushed = pushed.get_int_custom_property("pushed") == 1
        folder = Path(artifact_utils.get_single_uri(output_dict["report"]))
        write_report(
            ReportData(
                name=config["name"],
                classes=_names(of.classes),
                threshold=evaluation["threshold"],
                resamples=evaluation["resamples"],
                seed=evaluation["seed"],
                notices=notices(dataset, training),
                dataset=dataset,
                leakage=gather.read_json(records / "leakage.json"),
                samples=gather.first_of_each(files_of(one("examples"), "train"), 5),
                training=training,
                history=gather.read_json(run / "history.json"),
                model_summary=summary.read_text() if summary.is_file() else None,
                predictions=answers,
                images=gather.images_of(files_of(one("examples"), "test"), wanted),
                tfma=gather.tfma_metrics(one("evaluation").uri),
                blessing={
                    "blessed": one("blessing").get_int_custom_property("blessed") == 1,
                    "rules": gather.gate_rules(one("evaluation").uri),
                },
                pushed=pushed.get_string_custom_property("pushed_destination")
                if was_pushed
                else "",
                config=exec_properties["config"],
                versions=gather.versions(),
            ),
            folder,
        )


def _names(classes: Sequence[str]) -> tuple[str, str]:
    negative, positive = classes
    return negative, positive
