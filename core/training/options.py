"""Options of training, embedding and tuning."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from core.metrics.options import EvaluationOptions
from core.models.backbone_weights import BackboneWeights
from core.models.options import AugmentOptions, ModelOptions
from schema.labels import Task
from schema.options import Options


class EmbeddingOptions(Options):
    """How the Embedder runs the frozen part of the backbone."""

    views: int = Field(
        0, ge=0, le=64, description="augmented views of each training image, besides the image"
    )
    storage: Literal["float16", "float32"] = "float16"
    compute: Literal["float32", "bfloat16", "auto"] = Field(
        "float32", description="auto: the faster of the two, measured on one batch"
    )
    batch_size: int = Field(32, ge=1, description="images in one forward pass")
    seed: int = Field(0, ge=0, lt=2**31, description="of the views, and of random weights")
    augment: AugmentOptions = Field(default_factory=AugmentOptions)
    layer: str | None = Field(
        None,
        description="embed at this layer although nothing above it is trained, to share the "
        "artifact with configurations that fine-tune; none: as set in fine_tune",
    )


class FineTuneOptions(Options):
    """Second phase: trains blocks of the backbone, too."""

    trainable_from: str = Field(
        "default",
        description="layers above this one are trained; default: that of the backbone; input: all",
    )
    source: Literal["cache", "images"] = Field(
        "cache",
        description="cache: activations at the layer, computed once (augmented by "
        "embedding.views); images: the whole network in each epoch, augmented anew",
    )
    view_size: int | None = Field(
        None,
        ge=32,
        description="side of the training images, with source: images; below the model's image "
        "size it is faster, and networks work best on objects somewhat larger than in training "
        "(Touvron et al., 2019); none: the model's image size",
    )
    epochs: int = Field(3, ge=1, le=10_000, description="maximum number of epochs")
    batch_size: int = Field(32, ge=1, description="images in one training step")
    learning_rate: float = Field(1e-4, gt=0, description="peak learning rate of the backbone")
    head_learning_rate: float | None = Field(
        None, gt=0, description="of the head in this phase; none: learning_rate"
    )
    weight_decay: float = Field(1e-2, ge=0, description="weight decay of AdamW")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="learning rate after the warm-up"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="warm-up, as a fraction of all steps")
    patience: int = Field(3, ge=1, description="epochs without a lower validation loss")
    clip_norm: float | None = Field(
        None, gt=0, description="maximum norm of the gradient of a batch; none: no clipping"
    )
    average: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="momentum of a moving average of the weights, which is validated and kept "
        "instead of them; none: no averaging",
    )
    batch_norm: Literal["frozen", "trained"] = Field(
        "frozen", description="whether batch normalization keeps its statistics and weights"
    )
    mixup: float | None = Field(
        None,
        gt=0,
        description="with source: images; parameter of the Beta distribution of the weights with "
        "which two images are averaged (Zhang et al., 2018); none: no mixup",
    )
    cutmix: float | None = Field(
        None,
        gt=0,
        description="likewise for the area of a rectangle that is replaced by that of another "
        "image (Yun et al., 2019); with mixup, each image gets one of the two; none: no CutMix",
    )
    compute: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="auto: bfloat16 if the accelerator, or else the processor, has instructions "
        "for it; weights and the exported model are float32",
    )


class DistillOptions(Options):
    """Distillation: learns the probabilities of a trained model, too (Hinton et al., 2015)."""

    teacher: str = Field(
        description="folder of a SavedModel of the same classes, image size and fit, for example "
        "an ensemble of model.members; or a folder of its versions"
    )
    weight: float = Field(
        0.5, gt=0, le=1, description="of the teacher in the loss; the labels have the rest"
    )
    temperature: float = Field(
        1.0, gt=0, le=100, description="softens the probabilities of teacher and student"
    )


class TrainingOptions(Options):
    """Training of the head, and of the backbone if configured."""

    epochs: int = Field(60, ge=1, le=10_000, description="maximum epochs of the head")
    batch_size: int = Field(64, ge=1, description="images in one training step")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of AdamW")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="course of the learning rate"
    )
    weight_decay: float = Field(1e-2, ge=0, description="weight decay of AdamW")
    patience: int = Field(8, ge=1, description="epochs without a lower validation loss")
    class_weight: Literal["balanced", "none"] = Field(
        "balanced", description="balanced: each class has the same total weight in the loss"
    )
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="training loss; focal: Lin et al., 2017"
    )
    focal_gamma: float = Field(2.0, ge=0, description="exponent of the focal loss")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="probability moved from the label to all classes"
    )
    seeds: tuple[int, ...] = Field(
        (0,), description="one ensemble member for each; the model predicts their mean"
    )
    embedding: EmbeddingOptions = Field(default_factory=EmbeddingOptions)
    fine_tune: FineTuneOptions | None = Field(
        None, description="second phase, with the upper backbone; none: the backbone stays frozen"
    )
    distill: DistillOptions | None = Field(
        None, description="learns from a trained model besides the labels; none: labels only"
    )

    @property
    def from_images(self) -> bool:
        """Whether training reads images instead of embeddings."""
        return self.fine_tune is not None and self.fine_tune.source == "images"

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or len(set(value)) != len(value) or any(not 0 <= s < 2**31 for s in value):
            raise ValueError(f"seeds must be different nonnegative integers, not {list(value)}")
        return value

    @model_validator(mode="after")
    def _cache_has_no_input(self) -> Self:
        tune = self.fine_tune
        if self.distill is not None and not self.from_images:
            raise ValueError(
                "distill needs fine_tune.source: images, which the teacher predicts; to keep the "
                "backbone frozen, set fine_tune.trainable_from: top"
            )
        if tune and tune.trainable_from == "input" and tune.source == "cache":
            raise ValueError(
                "fine_tune.trainable_from: input leaves nothing to cache; set source: images"
            )
        if tune and self.embedding.layer is not None:
            raise ValueError(
                "embedding.layer is for a frozen backbone; set fine_tune.trainable_from instead"
            )
        if tune and tune.view_size is not None and tune.source == "cache":
            raise ValueError(
                "fine_tune.view_size needs source: images; cached activations have the model's "
                "image size"
            )
        if tune and tune.source == "cache":
            for name in ("mixup", "cutmix"):
                if getattr(tune, name) is not None:
                    raise ValueError(f"fine_tune.{name} needs source: images; it mixes images")
        return self

    @model_validator(mode="after")
    def _augmentation_is_used(self) -> Self:
        embedding = self.embedding
        # Compared by value: options that a node reads have every key set.
        if embedding.augment != AugmentOptions() and not (embedding.views or self.from_images):
            raise ValueError(
                "embedding.augment has no effect, because no image is augmented; set "
                "embedding.views, or fine_tune.source: images"
            )
        return self


class TunerOptions(Options):
    """Hyperparameter search for the head and its optimizer on embedded features."""

    trials: int = Field(50, ge=1, le=10_000, description="number of combinations to train")
    algorithm: Literal["random", "bayesian"] = Field(
        "random", description="search algorithm of KerasTuner"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the search and of the heads")
    epochs: int = Field(20, ge=1, description="maximum epochs of a trial")
    dense: tuple[tuple[Annotated[int, Field(ge=1)], ...], ...] = Field(
        ((), (64,), (256,)), description="choices of model.dense"
    )
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        (0.0, 0.2, 0.5), description="choices of model.dropout"
    )
    learning_rate: tuple[float, float] = Field(
        (1e-4, 1e-2), description="range of training.learning_rate, log scale"
    )
    weight_decay: tuple[float, float] = Field(
        (1e-4, 1e-1), description="range of training.weight_decay, log scale"
    )


class TrainerOptions(Options):
    """Options of the Trainer and the Tuner node; their `custom_config`."""

    name: str = Field(description="name of the configuration")
    task: Task
    model: ModelOptions
    training: TrainingOptions
    evaluation: EvaluationOptions
    tuner: TunerOptions | None = Field(None, description="for the Tuner only")
    weights: BackboneWeights
    member_weights: tuple[BackboneWeights, ...] = Field((), description="of each of model.members")
    teacher_sha256: str = Field("", description="digest of the teacher; part of the cache key")
    image_size: int = Field(description="image side, pixels")
    layer: str = Field(description="the backbone is trained above this layer; top: frozen")
    checkpoints: str = Field(description="checkpoint folder or URI, for resuming a killed run")
    synthetic: bool | None = Field(
        description="whether the images are synthetic; none: read from `records`"
    )
    records: str = Field("", description="folder or URI of the records")
