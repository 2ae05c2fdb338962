"""The one configuration object: typed, validated, loaded from YAML."""

import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from components.endpoint_validator.choice import Validation
from core.ingest.options import IngestOptions
from core.metrics.options import EvaluationOptions
from core.models.backbones import image_size
from core.models.options import DetectorOptions, ModelOptions
from core.reporting.card.options import CardOptions
from core.reporting.monitor.options import MonitorOptions
from core.training.options import TrainingOptions, TunerOptions
from pipeline.engines.arguments import known
from pipeline.engines.options import BeamOptions, Engine
from pipeline.kubeflow.options import DeployOptions
from pipeline.run_facts import RunFacts
from schema.errors import PneumoError
from schema.labels import CUSTOM, TASKS, Task, custom_task, task
from serving.server.engines import IMAGE

_Options = TypeVar("_Options", bound=BaseModel)
_GPUS: Final = (
    "the Trainer uses all GPUs of its machine, on a cluster those of deploy.resources.Trainer"
)
# Keys of earlier versions -> what to do instead.
_REMOVED: Final = {
    "training.distribution": _GPUS,
    "training.processes": _GPUS,
    "deploy.vertex_training": _GPUS,
}


class DataOptions(BaseModel):
    """Which task, and how a folder of images becomes records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field("binary", description="a name of schema.labels.TASKS, or custom")
    classes: dict[str, tuple[str, ...]] | None = Field(
        None, description="of a custom task: class name -> pathogens"
    )
    positive: tuple[str, ...] = Field((), description="of a custom task: positive classes")
    ingest: IngestOptions = Field(default_factory=IngestOptions)

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        if value not in TASKS and value != CUSTOM:
            known = ", ".join([*sorted(TASKS), CUSTOM])
            raise ValueError(f"unknown task {value!r}; choose one of {known}")
        return value

    @model_validator(mode="after")
    def _classes_belong_to_custom(self) -> Self:
        if self.task != CUSTOM and (self.classes is not None or self.positive):
            raise ValueError("classes and positive describe a custom task; set task: custom")
        self.of()
        return self

    def of(self) -> Task:
        """The task.

        Raises:
          ValueError: the mapping of a custom task is not sound.
        """
        if self.task != CUSTOM:
            return task(self.task)
        if not self.classes:
            raise ValueError("a custom task needs classes, as in {NORMAL: [normal], ...}")
        return custom_task(self.classes, self.positive)


class ServingOptions(BaseModel):
    """What happens to a blessed model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    push_to: str | None = Field(
        None, description="folder that a model server watches; none: serving/ of the work folder"
    )
    infra_validation: Validation = Field(
        "auto",
        description="serves the candidate before it is pushed: a container of TF Serving (docker), "
        "a pod of it (kubernetes), the first engine of `pneumo serve` that starts (endpoint), a "
        "new process (savedmodel), or none; auto: endpoint, or savedmodel if no engine starts",
    )
    image: str = Field(
        IMAGE,
        description="container image of TF Serving; pin it as NAME@sha256:DIGEST",
    )


class BatchOptions(BaseModel):
    """Unlabelled images that a blessed model answers in the same run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: str = Field(description="folder that `pneumo ingest` wrote; labels are not looked at")


class Config(BaseModel):
    """Everything that a run depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    data: DataOptions = Field(default_factory=DataOptions)
    model: ModelOptions = Field(default_factory=ModelOptions)
    training: TrainingOptions = Field(default_factory=TrainingOptions)
    tuner: TunerOptions | None = Field(
        None, description="search for head and optimiser before training; none: as configured"
    )
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions)
    serving: ServingOptions = Field(default_factory=ServingOptions)
    batch: BatchOptions | None = Field(
        None, description="unlabelled records to answer; none: no such nodes"
    )
    monitor: MonitorOptions = Field(default_factory=MonitorOptions)
    card: CardOptions = Field(default_factory=CardOptions)
    deploy: DeployOptions = Field(default_factory=DeployOptions)
    engine: Engine = Field("direct", description="what Beam runs on, for ingest and components")
    beam: BeamOptions = Field(default_factory=BeamOptions)
    run: RunFacts | None = Field(None, exclude=True, repr=False)

    @field_validator("engine", mode="before")
    @classmethod
    def _known_engine(cls, value: object) -> object:
        try:
            return known(str(value))
        except PneumoError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _rules_fit_the_task(self) -> Self:
        self.evaluation.check_task(self.data.of())
        return self

    @model_validator(mode="after")
    def _views_fit_the_model(self) -> Self:
        tune, size = self.training.fine_tune, image_size(self.model.trunk, self.model.image_size)
        if tune is not None and tune.view_size is not None and tune.view_size > size:
            raise ValueError(
                f"training.fine_tune.view_size is {tune.view_size} pixels, more than the {size} of "
                "the model's images; lower it or raise model.image_size"
            )
        return self

    @model_validator(mode="after")
    def _detector_of_a_located_task(self) -> Self:
        located = self.data.of().located
        if self.model.detector is not None and not located:
            raise ValueError(
                f"model.detector is of task locate, and data.task is {self.data.task!r}; "
                "remove the one or change the other"
            )
        if not located:
            return self
        if self.training.fine_tune is not None:
            # One trunk serves both halves; blocks that learned classes would not be the ones that
            # the maps of the dense head come from.
            raise ValueError(
                "training.fine_tune is of classifiers; for task locate set "
                "model.detector.train_trunk: true"
            )
        if self.training.embedding.cut is not None:
            raise ValueError("training.embedding.cut: task locate embeds at the first of "
                             "model.detector.levels; remove it")  # fmt: skip
        if self.model.detector is None:
            filled = self.model.model_copy(update={"detector": DetectorOptions()})
            object.__setattr__(self, "model", filled)  # frozen, and this is its making
        return self

    def to_yaml(self) -> str:
        """The configuration as a user would write it, defaults filled in."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def shipped() -> dict[str, Path]:
    """Name -> file of the configurations that come with the package."""
    folder = Path(str(importlib.resources.files("pipeline") / "configs"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def load_config(source: str, overrides: Sequence[str] = ()) -> Config:
    """Loads a configuration.

    Args:
      source: a YAML file, or the name of a shipped configuration.
      overrides: `key.key=value` each, the value in YAML; later ones win.

    Raises:
      PneumoError: no such file, not YAML, or a wrong key or value; one line that names it.
    """
    known = shipped()
    path = Path(source)
    if not path.is_file():
        if source not in known:
            raise PneumoError(
                f"no configuration {source!r}; give a YAML file or one of: {', '.join(known)}"
            )
        path = known[source]
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PneumoError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise PneumoError(f"{path} must hold a mapping with name, data, model, ...; it is empty")
    for override in overrides:
        _override(values, override)
    for key, hint in _REMOVED.items():
        group, _, name = key.partition(".")
        if isinstance(values.get(group), dict) and name in values[group]:
            raise PneumoError(f"{path}: key {key} was removed; {hint}")
    return _validate(Config, values, f"{path}: ")


def monitor_options(values: dict[str, Any], overrides: Sequence[str]) -> MonitorOptions:
    """Loads the part `monitor` of a configuration alone, with overrides as in `load_config`.

    Raises:
      PneumoError: a wrong key or value; one line that names it.
    """
    whole: dict[str, Any] = {"monitor": dict(values)}
    for override in overrides:
        _override(whole, override)
    if other := whole.keys() - {"monitor"}:
        raise PneumoError(f"--set {other.pop()}...: only keys of monitor count here")
    return _validate(MonitorOptions, whole["monitor"], "monitor.")


def beam_options(pairs: Sequence[str]) -> BeamOptions:
    """Loads the part `beam` of a configuration alone, from `key=value` each.

    Raises:
      PneumoError: a wrong key or value; one line that names it.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        _override(values, pair)
    return _validate(BeamOptions, values, "beam.")


def _validate(options: type[_Options], values: Any, place: str) -> _Options:
    try:
        return options.model_validate(values)
    except ValidationError as error:
        raise PneumoError(f"{place}{_one_line(error)}") from None


def _override(values: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise PneumoError(f"--set takes key=value, as in training.epochs=5; not {text!r}")
    *parents, last = key.strip().split(".")
    at = values
    for parent in parents:
        child = at.setdefault(parent, {})
        if not isinstance(child, dict):
            raise PneumoError(f"--set {text}: {parent!r} holds a value, not a group of keys")
        at = child
    try:
        at[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise PneumoError(f"--set {text}: {' '.join(str(error).split())}") from None


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "configuration"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {where}; look for a typing error{more}"
    if first["type"] == "missing":
        return f"key {where} is missing{more}"
    message = first["msg"].removeprefix("Value error, ")
    shown = "" if first["type"] == "value_error" else f", not {first['input']!r}"
    return f"{where}: {message}{shown}{more}"
