"""The configuration: one pydantic model for each part."""

from typing import Self

import yaml
from pydantic import Field, field_validator, model_validator

from components.endpoint_validator.choice import Validation
from core.ingest.options import IngestOptions
from core.metrics.options import EvaluationOptions
from core.models.backbones import image_size
from core.models.options import DetectorOptions, ModelOptions
from core.reporting.card.options import CardOptions
from core.reporting.monitor.options import MonitorOptions
from core.training.options import TrainingOptions, TunerOptions
from pipeline.engines.arguments import parse_engine
from pipeline.engines.options import BeamOptions, Engine
from pipeline.kubeflow.options import DeployOptions
from schema.errors import PneumoError, unknown
from schema.labels import CUSTOM, TASKS, Task, custom_task, get_task
from schema.options import Options, check_text_keys
from serving.server.engines import IMAGE


class DataOptions(Options):
    """The task, and how images become records."""

    task: str = Field(
        "binary", description="binary, three_class, two_stage, bacteria_virus, locate, or custom"
    )
    classes: dict[str, tuple[str, ...]] | None = Field(
        None, description="classes of a custom task: class name -> pathogens"
    )
    positive: tuple[str, ...] = Field((), description="positive classes of a custom task")
    ingest: IngestOptions = Field(default_factory=IngestOptions)

    @field_validator("classes", mode="before")
    @classmethod
    def _text_keys(cls, value: object) -> object:
        return check_text_keys(value)

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        if value not in TASKS and value != CUSTOM:
            raise ValueError(unknown("task", value, [*TASKS, CUSTOM]))
        return value

    @model_validator(mode="after")
    def _classes_belong_to_custom(self) -> Self:
        if self.task != CUSTOM and (self.classes is not None or self.positive):
            raise ValueError("classes and positive describe a custom task; set task: custom")
        self.resolve_task()
        return self

    def resolve_task(self) -> Task:
        """Returns the task.

        Raises:
          ValueError: the classes of a custom task are missing or invalid.
        """
        if self.task != CUSTOM:
            return get_task(self.task)
        if not self.classes:
            raise ValueError("a custom task needs classes, such as {NORMAL: [normal], ...}")
        return custom_task(self.classes, self.positive)


class ServingOptions(Options):
    """Push target and infrastructure validation."""

    push_to: str | None = Field(
        None, description="folder that model servers watch; none: serving/ in the work folder"
    )
    infra_validation: Validation = Field(
        "auto",
        description="serves the candidate before it is pushed, in a TF Serving container (docker) "
        "or pod (kubernetes), the first engine of `pneumo serve` that starts (endpoint), or a new "
        "process (savedmodel); auto: endpoint, or savedmodel if no engine starts",
    )
    image: str = Field(
        IMAGE,
        description="TF Serving image; pin it with NAME@sha256:DIGEST",
    )


class BatchOptions(Options):
    """Unlabeled images that a blessed model predicts in the same run."""

    records: str = Field(description="folder that `pneumo ingest` wrote; its labels are ignored")


class Config(Options):
    """Configuration of a run."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="name of work folder, model and pipeline"
    )
    data: DataOptions = Field(default_factory=DataOptions)
    model: ModelOptions = Field(default_factory=ModelOptions)
    training: TrainingOptions = Field(default_factory=TrainingOptions)
    tuner: TunerOptions | None = Field(
        None, description="search for head and optimizer options before training; none: no search"
    )
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions)
    serving: ServingOptions = Field(default_factory=ServingOptions)
    batch: BatchOptions | None = Field(
        None, description="unlabeled records to predict; none: no batch prediction"
    )
    monitor: MonitorOptions = Field(default_factory=MonitorOptions)
    card: CardOptions = Field(default_factory=CardOptions)
    deploy: DeployOptions = Field(default_factory=DeployOptions)
    engine: Engine = Field("direct", description="Beam engine for ingest and components")
    beam: BeamOptions = Field(default_factory=BeamOptions)

    @property
    def task(self) -> Task:
        """The task that `data` describes."""
        return self.data.resolve_task()

    @field_validator("engine", mode="before")
    @classmethod
    def _known_engine(cls, value: object) -> object:
        try:
            return parse_engine(str(value))
        except PneumoError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _rules_fit_the_task(self) -> Self:
        self.evaluation.check_task(self.task)
        return self

    @model_validator(mode="after")
    def _views_fit_the_model(self) -> Self:
        tune, size = self.training.fine_tune, image_size(self.model.backbone, self.model.image_size)
        views = {"training.fine_tune": tune.view_size if tune else None}
        views |= {f"model.members.{i}": one.view_size for i, one in enumerate(self.model.members)}
        for name, view_size in views.items():
            if view_size is not None and view_size > size:
                raise ValueError(
                    f"{name}.view_size is {view_size} pixels, more than the {size} of the model's "
                    "images; lower it or raise model.image_size"
                )
        return self

    @model_validator(mode="after")
    def _teacher_knows_no_fold(self) -> Self:
        if self.training.distill and self.evaluation.shifted_validation:
            raise ValueError(
                "the teacher of training.distill has learned from the images that "
                "evaluation.shifted_validation holds out; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _members_fit_the_training(self) -> Self:
        if not self.model.members:
            return self
        if self.task.located:
            raise ValueError("model.members is for classification tasks; remove it for task locate")
        if not self.training.from_images:
            raise ValueError(
                "model.members needs training.fine_tune.source: images, because the Embedder runs "
                "one backbone; set it"
            )
        if self.tuner is not None:
            raise ValueError(
                "the tuner searches on the embeddings of one backbone; remove tuner or "
                "model.members"
            )
        return self

    @model_validator(mode="after")
    def _views_are_of_images(self) -> Self:
        if self.model.test_time_augmentation is None:
            return self
        if not self.training.from_images:
            # Stored features are those of the whole image.
            raise ValueError(
                "model.test_time_augmentation needs training.fine_tune.source: images; remove it "
                "or fine-tune on images"
            )
        return self

    @model_validator(mode="after")
    def _detector_of_a_located_task(self) -> Self:
        located = self.task.located
        if self.model.detector is not None and not located:
            raise ValueError(
                f"model.detector needs data.task: locate, and data.task is {self.data.task!r}; "
                "change the task or remove the detector"
            )
        if not located:
            return self
        if self.training.fine_tune is not None:
            # Image heads and detection heads share one backbone, so blocks trained on classes
            # would not match the features that the detection heads read.
            raise ValueError(
                "training.fine_tune is for classification tasks; for task locate set "
                "model.detector.train_backbone: true"
            )
        if self.training.embedding.layer is not None:
            raise ValueError(
                "remove training.embedding.layer: task locate embeds at the first of "
                "model.detector.levels"
            )
        if self.model.detector is None:
            filled = self.model.model_copy(update={"detector": DetectorOptions()})
            object.__setattr__(self, "model", filled)  # the model is frozen
        return self

    def to_yaml(self) -> str:
        """Returns the configuration as YAML, with all defaults."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
