"""What a configuration says of the model and of its training."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from components.detector.options import DetectorOptions


class ModelOptions(BaseModel):
    """The network: trunk, its weights, and the head on top of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trunk: str = Field("InceptionV3", description="a name of components.trainer.trunks.TRUNKS")
    weights: str = Field("imagenet", description="imagenet, random, or a file in Keras's layout")
    on_missing: Literal["stop", "random"] = Field(
        "stop", description="what to do where the ImageNet weights cannot be had"
    )
    image_size: int | None = Field(
        None, ge=32, le=2048, description="side in pixels; none: the trunk's own"
    )
    fit: Literal["stretch", "pad"] = "stretch"
    pooling: Literal["avg", "max", "both"] = "avg"
    dense: tuple[int, ...] = Field((), description="sizes of dense layers before the last one")
    activation: str = Field("relu", description="of the dense layers; a name that Keras knows")
    batch_norm: bool = Field(False, description="batch normalisation after each dense layer")
    dropout: float = Field(0.2, ge=0.0, lt=1.0)
    l2: float = Field(0.0, ge=0.0, description="L2 penalty on the kernels of the head")
    detector: DetectorOptions | None = Field(
        None, description="of task locate; none there: the defaults"
    )

    @field_validator("trunk")
    @classmethod
    def _known_trunk(cls, value: str) -> str:
        from components.trainer.trunks import TRUNKS

        if value not in TRUNKS:
            raise ValueError(f"unknown trunk {value!r}; choose one of {', '.join(TRUNKS)}")
        return value

    @field_validator("dense")
    @classmethod
    def _positive_sizes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in value):
            raise ValueError(f"sizes of dense layers must be positive, not {list(value)}")
        return value

    @field_validator("activation")
    @classmethod
    def _known_activation(cls, value: str) -> str:
        known = ("relu", "gelu", "silu", "elu", "selu", "tanh", "sigmoid", "linear")
        if value not in known:
            raise ValueError(f"unknown activation {value!r}; choose one of {', '.join(known)}")
        return value


class AugmentOptions(BaseModel):
    """Random changes that another exposure of the same patient could show. Off when all are 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation: float = Field(7.0, ge=0, le=180, description="degrees, either way")
    shift: float = Field(0.05, ge=0, lt=1, description="part of the side, either way")
    zoom: float = Field(0.10, ge=0, lt=1, description="part of the size, either way")
    brightness: float = Field(0.10, ge=0, lt=1, description="part of 255 that is added, either way")
    contrast: float = Field(0.15, ge=0, lt=1, description="part of the contrast, either way")
    noise: float = Field(0.01, ge=0, lt=1, description="standard deviation, part of 255")
    flip: bool = Field(False, description="left and right; a mirrored heart is not a normal one")


class EmbeddingOptions(BaseModel):
    """How the Embedder runs the frozen part of the trunk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    views: int = Field(
        0, ge=0, le=64, description="augmented views of each training image, beside the image"
    )
    storage: Literal["float16", "float32"] = "float16"
    compute: Literal["float32", "bfloat16", "auto"] = Field(
        "float32", description="auto: times both on one batch and takes the faster"
    )
    batch_size: int = Field(32, ge=1, description="images in one forward pass")
    seed: int = Field(0, ge=0, lt=2**31, description="of the views, and of random weights")
    augment: AugmentOptions = Field(default_factory=AugmentOptions)
    cut: str | None = Field(
        None,
        description="embed at this cut although nothing above it learns, to share the artifact "
        "with configurations where it does; none: as fine_tune says",
    )


class FineTuneOptions(BaseModel):
    """The second phase: blocks of the trunk learn too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_cut: str = Field(
        "default",
        description="what lies above this cut learns; default: the trunk's own; input: all of it",
    )
    source: Literal["cache", "images"] = Field(
        "cache",
        description="cache: activations at the cut, computed once (with embedding.views as "
        "augmentation); images: the whole network each epoch, augmented anew each time",
    )
    view_size: int | None = Field(
        None,
        ge=32,
        description="side of the views that are learned from, with source: images; below the "
        "model's own it is faster, and a network answers best on objects that are somewhat larger "
        "than those it learned from (Touvron et al. 2019); none: the model's own",
    )
    epochs: int = Field(3, ge=1, le=10_000)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    head_learning_rate: float | None = Field(
        None, gt=0, description="of the head in this phase; none: the same"
    )
    weight_decay: float = Field(1e-2, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1, description="part of all steps that warms up")
    patience: int = Field(3, ge=1)
    clip_norm: float | None = Field(
        None, gt=0, description="largest norm of a batch's gradient; none: as it is"
    )
    average: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="momentum of a moving average of the weights, which is judged and kept "
        "instead of them; none: the weights themselves",
    )
    batch_norm: Literal["frozen", "trained"] = "frozen"
    compute: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="auto: bfloat16 where the accelerator, or without one the processor, has "
        "instructions for it; weights and the exported model stay float32",
    )


class TrainingOptions(BaseModel):
    """How the head, and what else learns, is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(60, ge=1, le=10_000)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: float = Field(1e-2, ge=0)
    patience: int = Field(8, ge=1, description="epochs without a better validation loss")
    class_weight: Literal["balanced", "none"] = "balanced"
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = Field(2.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    seeds: tuple[int, ...] = Field(
        (0,), description="one member of the ensemble for each; the model answers with their mean"
    )
    embedding: EmbeddingOptions = Field(default_factory=EmbeddingOptions)
    fine_tune: FineTuneOptions | None = None

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or len(set(value)) != len(value) or any(not 0 <= s < 2**31 for s in value):
            raise ValueError(f"seeds must be different whole numbers from 0 on, not {list(value)}")
        return value

    @model_validator(mode="after")
    def _cache_has_no_input(self) -> Self:
        tune = self.fine_tune
        if tune and tune.from_cut == "input" and tune.source == "cache":
            raise ValueError("fine_tune.from_cut: input has nothing to cache; set source: images")
        if tune and self.embedding.cut is not None:
            raise ValueError("embedding.cut is for a frozen trunk; fine_tune.from_cut says it here")
        if tune and tune.view_size is not None and tune.source == "cache":
            raise ValueError("fine_tune.view_size is for source: images; what is cached was "
                             "computed at the model's own size")  # fmt: skip
        return self


class TunerOptions(BaseModel):
    """Search over the head and its optimiser, on embedded features."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(50, ge=1, le=10_000)
    algorithm: Literal["random", "bayesian"] = "random"
    seed: int = Field(0, ge=0, lt=2**31)
    epochs: int = Field(20, ge=1)
    dense: tuple[tuple[int, ...], ...] = ((), (64,), (256,))
    dropout: tuple[float, ...] = (0.0, 0.2, 0.5)
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    weight_decay: tuple[float, float] = (1e-4, 1e-1)
