"""Results of a finished run, read from its work folder."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from core.reporting.run_outputs import read_run
from schema.errors import PneumoError

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.config import Config

_PREDICTIONS = {
    "val": ("Trainer", "model_run", "val_predictions.parquet"),
    "test": ("Scorer", "predictions", "predictions.parquet"),
}


@dataclass(frozen=True)
class Run:
    """Results of the last run in a work folder.

    Usage:
      run = Run.open("pneumo_runs/xception")
      run.metrics["auc"]["estimate"]
      run.predictions("test").query("score > 0.5")

    Attributes:
      folder: work folder of `pneumo run`.
    """

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Opens the work folder of a finished run.

        Raises:
          PneumoError: no run has finished in this folder.
        """
        run = cls(Path(folder))
        if not (run.folder / "run.json").is_file():
            raise PneumoError(f"{folder} has no run.json; give the --workdir of a finished run")
        return run

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Nodes, seconds, metrics and paths of the run; content of `run.json`."""
        return read_run(self.folder / "run.json", self.folder)

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Metrics on the test split: name -> estimate and 95 % interval (low, high)."""
        metrics: dict[str, dict[str, float | None]] = self.summary["metrics"]
        return metrics

    @cached_property
    def report(self) -> dict[str, Any]:
        """Every number of the report; content of `report.json`."""
        file = self._output("Report", "report") / "report.json"
        report: dict[str, Any] = json.loads(file.read_text())
        return report

    @cached_property
    def config(self) -> "Config":
        """Configuration of the run, with all defaults; without the patient salt, a secret."""
        import yaml

        from pipeline.config import Config

        values = yaml.safe_load(self.report["config"])
        values["data"]["ingest"].pop("patient_salt", None)
        return Config.model_validate(values)

    @property
    def model_folder(self) -> Path:
        """SavedModel that the Trainer exported, blessed or not."""
        return self._output("Trainer", "model") / "Format-Serving"

    @property
    def figures(self) -> dict[str, Path]:
        """Figures of the report: name -> PNG file."""
        folder = self._output("Report", "report") / "figures"
        return {file.stem: file for file in sorted(folder.glob("*.png"))}

    def predictions(self, split: Literal["val", "test"] = "test") -> "pd.DataFrame":
        """Returns one row per image: score, probabilities, label, patient and file name."""
        import pandas as pd

        node, key, file = _PREDICTIONS[split]
        return pd.read_parquet(self._output(node, key) / file, partitioning=None)

    def _output(self, node: str, key: str) -> Path:
        for entry in self.summary["nodes"]:
            if entry["name"] == node:
                return Path(entry["outputs"][key][0])
        raise PneumoError(f"{self.folder}: the run has no node {node}")
