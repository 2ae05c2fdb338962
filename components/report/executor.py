"""Gathers the artifacts of a run and writes the page."""

from pathlib import Path
from typing import Any

import yaml
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.endpoint_validator.verdict import VERDICT
from components.evaluation import table
from components.evaluation.answers import Answers, read_answers, read_scored
from components.evaluation.tfma_results import tfma_metrics
from components.report import gather
from components.report.boxes import cases
from components.report.data import SYNTHETIC, ReportData
from components.report.heat import Heat, places_of, rightly, to_measure
from components.report.numbers import mistakes
from components.report.page import write_report
from components.report.shortcuts import shortcut_check
from components.resolver.kind import ABOUT
from schema.errors import PneumoError
from schema.files import read_json
from schema.labels import Task
from schema.storage import some_of


def files_of(examples: types.Artifact, split: str) -> list[str]:
    """Paths of the gzip TFRecords of a split."""
    uri = Path(artifact_utils.get_split_uri([examples], split))
    return sorted(str(path) for path in uri.glob("*.gz"))


def about_records(records: str, of: Task) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What ingest wrote of a data set and of its leaks; None where it did not.

    Args:
      records: folder or URI.
      of: the task; the check for shortcuts depends on it.

    Raises:
      PneumoError: the store cannot be asked.
    """
    with some_of(records, ("dataset.json", "leakage.json", "manifest.jsonl")) as folder:
        dataset = read_json(folder / "dataset.json")
        if dataset is not None:
            dataset["shortcuts"] = shortcut_check(folder / "manifest.jsonl", of)
        return dataset, read_json(folder / "leakage.json")


def notices(dataset: dict[str, Any] | None, training: dict[str, Any] | None) -> list[str]:
    """Lines that must stand first on the page."""
    from components.trainer.weights import Weights

    lines = []
    if dataset and dataset.get("synthetic"):
        lines.append(SYNTHETIC)
    if training:
        weights = Weights(**training["weights"])
        lines += [line for line in [weights.notice(training["trunk"])] if line]
    return lines


def infra_verdict(input_dict: dict[str, list[types.Artifact]]) -> dict[str, Any] | None:
    """What the server that tried the model said; None where none was asked."""
    if not input_dict.get("infra_blessing"):
        return None
    blessing = artifact_utils.get_single_instance(input_dict["infra_blessing"])
    told = read_json(Path(blessing.uri) / VERDICT) or {}
    blessed = blessing.get_int_custom_property("blessed") == 1
    return {"blessed": blessed, "reasons": told.get("reasons", []), "how": told.get("how", "")}


def heat_of(
    input_dict: dict[str, list[types.Artifact]], answers: Answers, files: list[str]
) -> Heat | None:
    """What the model says of places in images of test; None where it says nothing of them.

    It is asked about the images that the page shows, and for the numbers of weak boxes about those
    that they need.
    """
    if not input_dict.get("model"):
        return None
    import tensorflow as tf

    folder = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
    loaded = tf.saved_model.load(folder)
    if "explain" not in loaded.signatures:
        return None
    facts = read_json(Path(folder) / ABOUT) or {}
    rows = [*mistakes(answers).values(), *rightly(answers).values()]
    shown = {row["sha256"] for of in rows for row in of}
    measured = set() if answers.locates else set(answers.sha256[to_measure(answers)].tolist())
    places = places_of(loaded.signatures["explain"], files, shown, measured)
    return Heat(facts.get("boxes") or {}, places)


class Executor(base_executor.BaseExecutor):
    """Writes `report.html` and `report.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads every input, then writes once.

        Raises:
          PneumoError: there are no predictions on test.
        """

        def one(key: str) -> types.Artifact:
            return artifact_utils.get_single_instance(input_dict[key])

        config = yaml.safe_load(exec_properties["config"])
        run = Path(one("model_run").uri)
        scored = Path(one("predictions").uri)
        answers = read_scored(scored)
        if answers is None:
            raise PneumoError(f"{scored} holds no predictions; run the Scorer again")
        val = run / "val_predictions.parquet"
        facts = read_json((scored / table.FILE).with_suffix(".json")) or {}
        dataset, leakage = about_records(exec_properties["records"], answers.of)
        training = read_json(run / "training.json")
        shown = [*mistakes(answers).values()]
        shown += cases(answers).values() if answers.locates else []
        wanted = {row["sha256"] for rows in shown for row in rows}
        summary = run / "model_summary.txt"
        pushed = one("pushed_model")
        was_pushed = pushed.get_int_custom_property("pushed") == 1
        folder = Path(artifact_utils.get_single_uri(output_dict["report"]))
        write_report(
            ReportData(
                name=config["name"],
                resamples=config["evaluation"]["resamples"],
                seed=config["evaluation"]["seed"],
                notices=notices(dataset, training),
                dataset=dataset,
                leakage=leakage,
                samples=gather.first_of_each(files_of(one("examples"), "train"), 5),
                training=training,
                histories=gather.histories(run / "history"),
                model_summary=summary.read_text() if summary.is_file() else None,
                answers=answers,
                val=read_answers(val, facts) if val.is_file() else None,
                images=gather.images_of(files_of(one("examples"), "test"), wanted),
                boxes=facts.get("boxes") if answers.locates else None,
                heat=heat_of(input_dict, answers, files_of(one("examples"), "test")),
                tfma=tfma_metrics(one("evaluation").uri),
                blessing=read_json(Path(one("blessing").uri) / "decision.json"),
                infra=infra_verdict(input_dict),
                pushed=pushed.get_string_custom_property("pushed_destination")
                if was_pushed
                else "",
                config=exec_properties["config"],
                versions=gather.versions(),
            ),
            folder,
        )
