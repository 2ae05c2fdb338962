"""Options of the network and of augmentation."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from core.images.rules import Fit
from schema.errors import unknown
from schema.options import Options


class DetectorOptions(Options):
    """A dense head: heat map of box centers, size, offset (CenterNet, Zhou et al., 2019)."""

    levels: tuple[str, ...] = Field(
        ("default", "top"),
        description="backbone layers whose activations the head reads, from input to output; "
        "default: the default layer of the backbone. The Embedder embeds at the first",
    )
    channels: int = Field(128, ge=8, le=1024, description="channels of the detection head")
    upsample: Literal[1, 2] = Field(2, description="factor on the grid of the first level")
    dropout: float = Field(0.2, ge=0, lt=1, description="of whole channels of the levels")
    epochs: int = Field(30, ge=1, le=10_000, description="maximum number of epochs")
    batch_size: int = Field(32, ge=1, description="images in one training step")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of AdamW")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="learning rate after the warm-up"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="warm-up, as a fraction of all steps")
    patience: int = Field(8, ge=1, description="epochs without a lower validation loss")
    weight_decay: float = Field(1e-2, ge=0, description="weight decay of AdamW")
    min_overlap: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="IoU that defines the radius of a peak: a center within it is nearly right; "
        "smaller values give wider peaks",
    )
    size_weight: float = Field(1.0, ge=0, description="weight of the size loss; that of heat is 1")
    offset_weight: float = Field(1.0, ge=0, description="weight of the offset loss (cells)")
    nms_iou: float = Field(
        0.3, ge=0, le=1, description="of two boxes that overlap more, the weaker one is removed"
    )
    train_backbone: bool = Field(
        False, description="train the backbone above the first level too, a copy for each seed"
    )

    @field_validator("levels")
    @classmethod
    def _from_below(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"levels must be one or more different layers, not {list(value)}")
        if value[0] in ("top", "input"):
            raise ValueError(
                f"the first level must be a layer within the backbone, not {value[0]!r}"
            )
        return value

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.train_backbone and len(self.levels) < 2:
            raise ValueError("train_backbone needs a level above the first")
        return self


class ViewOptions(Options):
    """Views of an image whose predictions are averaged (test-time augmentation)."""

    scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (1.0, 0.875),
        min_length=1,
        description="sides of central squares, as fractions of the image; each is enlarged to the "
        "image size. 1: the whole image",
    )
    corners: bool = Field(
        False,
        description="also the four corners of each scale below 1; scales: [0.875] with corners and "
        "flip are the ten crops of Krizhevsky et al., 2012",
    )
    flip: bool = Field(False, description="also each of these mirrored left and right")

    @field_validator("scales")
    @classmethod
    def _different_scales(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"scales must be different, not {list(value)}")
        return value


def _known_backbone(value: str) -> str:
    from core.models.backbones import BACKBONES

    if value not in BACKBONES:
        raise ValueError(unknown("backbone", value, BACKBONES))
    return value


Backbone = Annotated[str, AfterValidator(_known_backbone)]


class MemberOptions(Options):
    """One of several networks that are trained; what is not set is as in `training`."""

    backbone: Backbone = Field(description="a key of core.models.backbones.BACKBONES")
    weights: str | None = Field(
        None, description="imagenet, random, or a Keras weight file (.h5); none: model.weights"
    )
    trainable_from: str | None = Field(
        None, description="as in training.fine_tune; top: the backbone stays frozen"
    )
    view_size: int | None = Field(None, ge=32, description="as in training.fine_tune")
    epochs: int | None = Field(
        None, ge=1, le=10_000, description="of fine-tuning, as in training.fine_tune"
    )
    learning_rate: float | None = Field(
        None, gt=0, description="of fine-tuning, as in training.fine_tune"
    )


class ModelOptions(Options):
    """The network: backbone, its weights, and the head."""

    backbone: Backbone = Field(
        "InceptionV3",
        description="a key of core.models.backbones.BACKBONES; with members: that of the first",
    )
    weights: str = Field("imagenet", description="imagenet, random, or a Keras weight file (.h5)")
    on_missing: Literal["stop", "random"] = Field(
        "stop", description="behavior if the ImageNet weights are not available"
    )
    image_size: int | None = Field(
        None, ge=32, le=2048, description="side in pixels; none: the default of the backbone"
    )
    fit: Fit = Field(
        "stretch",
        description="how an image becomes a square: stretched, padded with black, or the central "
        "square of its short side (what lies beyond is not seen)",
    )
    test_time_augmentation: ViewOptions | None = Field(
        None,
        description="the model predicts the mean probability of several views of an image, at the "
        "cost of one forward pass each; needs fine_tune.source: images. None: one pass",
    )
    pooling: Literal["avg", "max", "both"] = Field(
        "avg", description="global pooling of the backbone's output; both: concatenated"
    )
    dense: tuple[int, ...] = Field((), description="sizes of dense layers before the last one")
    activation: str = Field("relu", description="of the dense layers; a Keras name")
    batch_norm: bool = Field(False, description="batch normalization after each dense layer")
    dropout: float = Field(0.2, ge=0.0, lt=1.0, description="dropout before each dense layer")
    l2: float = Field(0.0, ge=0.0, description="L2 penalty on the kernels of the head")
    detector: DetectorOptions | None = Field(
        None, description="for task locate; none: the defaults"
    )
    members: tuple[MemberOptions, ...] = Field(
        (),
        description="networks of an ensemble over several backbones, two or more; the model "
        "predicts the mean of their calibrated probabilities. Empty: one network",
    )

    def networks(self) -> "tuple[ModelOptions, ...]":
        """Returns the options of each network: of each member, or these options."""
        members = self.members
        return tuple(
            self.model_copy(
                update={
                    "backbone": member.backbone,
                    "weights": member.weights or self.weights,
                    "members": (),
                }
            )
            for member in members
        ) or (self,)

    @model_validator(mode="after")
    def _several_members(self) -> Self:
        if len(self.members) == 1:
            raise ValueError("members needs two or more networks; for one set backbone")
        if self.members:
            object.__setattr__(self, "backbone", self.members[0].backbone)  # the model is frozen
        return self

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
            raise ValueError(unknown("activation", value, known))
        return value


class AugmentOptions(Options):
    """Random changes that another exposure of the same patient could show; 0: off."""

    rotation: float = Field(7.0, ge=0, le=180, description="maximum angle, degrees")
    shift: float = Field(0.05, ge=0, lt=1, description="maximum, as a fraction of the side")
    zoom: float = Field(0.10, ge=0, lt=1, description="maximum, as a fraction of the size")
    brightness: float = Field(0.10, ge=0, lt=1, description="maximum, as a fraction of 255")
    contrast: float = Field(0.15, ge=0, lt=1, description="maximum, as a fraction of the contrast")
    noise: float = Field(0.01, ge=0, lt=1, description="standard deviation, as a fraction of 255")
    gamma: float = Field(
        0.0, ge=0, lt=4, description="gray levels to an exponent from 1/(1 + gamma) to 1 + gamma"
    )
    crop: tuple[float, float] | None = Field(
        None,
        description="random resized crop: smallest and largest area, as fractions of the image; "
        "none: no crop",
    )
    crop_aspect: float = Field(
        4 / 3, ge=1, le=4, description="largest ratio of the sides of a crop, either way"
    )
    flip: bool = Field(
        False,
        description="flip left and right; the model then cannot distinguish a mirrored image, as "
        "with situs inversus or a wrong side marker, from a correct one",
    )

    @property
    def moves(self) -> bool:
        """Whether pixels change their place, apart from the flip."""
        return bool(self.rotation or self.shift or self.zoom or self.crop)

    @field_validator("crop")
    @classmethod
    def _area_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 < value[0] <= value[1] <= 1:
            raise ValueError(f"crop must be [smallest, largest] area within 0..1, not {value}")
        return value
