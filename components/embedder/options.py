"""Options of the Embedder node."""

from pydantic import Field

from core.images.rules import Fit
from core.models.backbone_weights import BackboneWeights
from core.training.options import EmbeddingOptions
from schema.options import Options


class EmbedderOptions(Options):
    """Backbone, its input, and how it is run."""

    backbone: str = Field(description="a key of core.models.backbones.BACKBONES")
    weights: BackboneWeights
    image_size: int = Field(description="image side, pixels")
    fit: Fit = Field(description="how images were resized to a square")
    layer: str = Field(description="the backbone is run up to this layer; top: the whole backbone")
    embedding: EmbeddingOptions
