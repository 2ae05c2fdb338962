"""Reads what finished runs left in a shared work folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation import table
from components.evaluation.answers import Answers, read_answers, read_scored
from pipeline.compare.launch import PROCESS, RUN, folder_of, read_json, stop_of
from schema.errors import PneumoError


@dataclass(frozen=True)
class Finished:
    """One configuration that ran to its end.

    Attributes:
      name: of the configuration.
      run: `run.json`.
      process: `process.json`; empty where the run was not started by a comparison.
      training: `training.json` of the Trainer.
      test: answers on test.
      val: answers on validation.
    """

    name: str
    run: dict[str, Any]
    process: dict[str, Any]
    training: dict[str, Any]
    test: Answers
    val: Answers

    @property
    def records(self) -> Path:
        """Folder of the records."""
        return Path(self.run["records"])

    @property
    def model(self) -> Path:
        """Folder of the exported model."""
        return output(self.run, "Trainer", "model")


@dataclass(frozen=True)
class Failed:
    """One configuration that did not."""

    name: str
    error: str


def output(run: dict[str, Any], node: str, key: str) -> Path:
    """Folder of an output of a node.

    Raises:
      PneumoError: the run has no such node or output.
    """
    for found in run.get("nodes", []):
        if found["name"] == node and found["outputs"].get(key):
            return Path(found["outputs"][key][0])
    raise PneumoError(f"the run has no {key} of node {node}; run the configuration again")


def read_runs(work: Path, names: Sequence[str] = ()) -> tuple[list[Finished], list[Failed]]:
    """Reads the configurations of a work folder.

    Args:
      work: the shared work folder.
      names: which; none: all that are there.

    Raises:
      PneumoError: nothing finished, or not on the same test images.
    """
    wanted = list(names) or sorted(path.parent.name for path in work.glob(f"compare/*/{PROCESS}"))
    if not names:
        found = {path.parent.name for path in work.glob(f"compare/*/{RUN}")}
        wanted = sorted({*wanted, *found})
    done: list[Finished] = []
    failed: list[Failed] = []
    for name in wanted:
        folder = folder_of(work, name)
        process = read_json(folder / PROCESS)
        if (folder / RUN).is_file():
            done.append(_read(name, read_json(folder / RUN), process))
        else:
            failed.append(Failed(name, stop_of(process.get("error") or "it was not run here")))
    if not done:
        why = f": {failed[0].name}: {failed[0].error}" if failed else ""
        raise PneumoError(f"no configuration has finished in {work}; nothing to compare{why}")
    first = done[0]
    for other in done[1:]:
        if not np.array_equal(first.test.sha256, other.test.sha256):
            raise PneumoError(
                f"{first.name} and {other.name} were tested on different images; compare "
                "configurations with the same data.ingest in a work folder of their own"
            )
    return done, failed


def _read(name: str, run: dict[str, Any], process: dict[str, Any]) -> Finished:
    scored, trained = output(run, "Scorer", "predictions"), output(run, "Trainer", "model_run")
    test = read_scored(scored)
    val_file, training_file = trained / "val_predictions.parquet", trained / "training.json"
    for file in (scored / table.FILE, val_file, training_file):
        if not file.is_file():
            raise PneumoError(f"{name}: {file} is gone; run the configuration again")
    assert test is not None
    facts = json.loads((scored / table.FILE).with_suffix(".json").read_text())
    return Finished(
        name, run, process, read_json(training_file), test, read_answers(val_file, facts)
    )
