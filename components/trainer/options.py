"""What a configuration says of the model and of its training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


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
    pooling: Literal["avg", "max"] = "avg"
    dense: tuple[int, ...] = Field((), description="sizes of dense layers before the last one")
    dropout: float = Field(0.2, ge=0.0, lt=1.0)

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


class TrainingOptions(BaseModel):
    """How the head is trained on the frozen trunk's output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(60, ge=1, le=10_000)
    batch_size: int = Field(64, ge=1)
    trunk_batch_size: int = Field(32, ge=1, description="images in one forward pass of the trunk")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    patience: int = Field(8, ge=1, description="epochs without a better validation loss")
    class_weight: Literal["balanced", "none"] = "balanced"
    seed: int = Field(0, ge=0, lt=2**31)
