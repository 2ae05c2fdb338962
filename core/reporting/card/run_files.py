"""Input of the model card: the files that a run left."""

from dataclasses import dataclass, field
from typing import Any

from schema.labels import Task


@dataclass(frozen=True)
class RunFiles:
    """Files of a run. Any may be missing; the items that need it are then unknown.

    Attributes:
      task: of the model.
      config: the configuration with defaults.
      dataset: `dataset.json` of ingest.
      leakage: `leakage.json` of ingest.
      rejects: rows of `rejects.jsonl`: `file`, `reason`, `detail`.
      training: `training.json` of the Trainer.
      about: `pneumo.json` that the model carries.
      report: `report.json`.
      decision: `decision.json` of the Gate.
      lineage: a row for each artifact, see core.reporting.card.lineage.
      run: `pipeline`, `run_id`, `execution`, as in ML Metadata.
    """

    task: Task
    config: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] | None = None
    leakage: dict[str, Any] | None = None
    rejects: list[dict[str, Any]] = field(default_factory=list)
    training: dict[str, Any] | None = None
    about: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    decision: dict[str, Any] | None = None
    lineage: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> dict[str, str]:
        """Entries of `card` in the configuration that are not empty."""
        options = self.config.get("card") or {}
        return {name: text.strip() for name, text in options.items() if text and text.strip()}

    @property
    def calibration(self) -> dict[str, Any]:
        """Temperature, threshold, band and operating point, from the Trainer or the model."""
        return (self.training or {}).get("calibration") or self.about or {}

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Intervals on the whole test split: of the score, of several classes, of boxes."""
        report = self.report or {}
        of_classes = (report.get("classes_on_test") or {}).get("metrics") or {}
        of_boxes = (report.get("boxes") or {}).get("metrics") or {}
        overall = {name: value for name, value in of_boxes.items() if "/" not in name}
        return {**(report.get("metrics") or {}), **of_classes, **overall}

    @property
    def slices(self) -> list[dict[str, Any]]:
        """Rows of the report: `feature`, `value`, `images`, `patients`, `metrics`."""
        rows = (self.report or {}).get("slices")
        return [row for row in rows if "metrics" in row] if isinstance(rows, list) else []

    @property
    def stress_test(self) -> dict[str, Any] | None:
        """`corruptions.json`, from the report; None if the stress test did not run."""
        return (self.report or {}).get("stress_test")

    @property
    def splits(self) -> dict[str, dict[str, int]]:
        """Split -> pathogen -> images."""
        return (self.dataset or {}).get("splits") or {}

    @property
    def partly_labeled(self) -> dict[str, int]:
        """Images of each pathogen that may belong to more than one class of the task."""
        names = sorted(name for name, classes in self.task.compatible.items() if len(classes) > 1)
        counts = {name: sum(n.get(name, 0) for n in self.splits.values()) for name in names}
        return {name: count for name, count in counts.items() if count}

    @property
    def left_out(self) -> dict[str, int]:
        """Images of each split whose pathogen is no class of the task."""
        counts = {
            split: sum(n for name, n in counts.items() if not self.task.compatible_classes(name, 0))
            for split, counts in self.splits.items()
        }
        return {split: count for split, count in counts.items() if count}

    @property
    def positive_share(self) -> dict[str, float]:
        """Share of positives in each split; in tasks with boxes pathogens do not define it."""
        shares = {}
        for split, counts in self.splits.items():
            sides = {
                name: -1 if self.task.located else self.task.binary_label(name, 0)
                for name in counts
            }
            known = sum(n for name, n in counts.items() if sides[name] >= 0)
            if known:
                positive = sum(n for name, n in counts.items() if sides[name] == 1)
                shares[split] = positive / known
        return shares
