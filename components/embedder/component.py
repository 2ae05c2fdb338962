"""The Embedder node."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from core.embedding.embed import embed_split
from core.embedding.forward import select_forward
from core.models.backbone_weights import BackboneWeights, resolve_deferred
from core.training.options import EmbeddingOptions
from core.training.transformed_images import transformed_images

AGREEMENT_IMAGES = 16
MAX_STORAGE_NOISE = 0.01  # standard deviations of a feature

log = logging.getLogger("pneumo.embed")


@component
def Embedder(
    examples: InputArtifact[Examples],
    embeddings: OutputArtifact[Examples],
    backbone: Parameter[str],
    image_size: Parameter[int],
    weights: Parameter[str],
    layer: Parameter[str],
    options: Parameter[str],
    fit: Parameter[str] = "stretch",
) -> None:
    """Runs the frozen part of a backbone once over the splits train and val.

    All epochs, seeds, heads and Tuner trials use the embeddings. The output has the type Examples,
    because the Trainer and Tuner of TFX accept no other; core.embedding.store defines its content.

    Args:
      examples: output of Transform.
      embeddings: `Split-<name>/` with features, maps, records and metadata.
      backbone: key of core.models.backbones.BACKBONES.
      image_size: image side, pixels.
      weights: `BackboneWeights.to_dict()` as JSON.
      layer: layer to embed at; "top": the backbone's output.
      options: `EmbeddingOptions` as JSON.
      fit: how images were resized to a square, "stretch" or "pad"; boxes are resized in the same
        way.

    Raises:
      ValueError: the training split has no image.
    """
    embedding = EmbeddingOptions(**json.loads(options))
    resolved = resolve_deferred(BackboneWeights(**json.loads(weights)), backbone)

    def stream(split: str, batch: int) -> Iterator[Any]:
        uri = artifact_utils.get_split_uri([examples], split)
        return transformed_images([f"{uri}/*"], image_size, batch)

    first = next(iter(stream("train", AGREEMENT_IMAGES)), None)
    if first is None:
        raise ValueError("split 'train' has no image; check the output of Transform")
    selected = select_forward(
        backbone,
        image_size,
        resolved.file or None,
        layer,
        embedding.compute,
        first[0].numpy(),
        embedding.seed,
    )
    storage = embedding.storage
    if storage == "float16" and selected.storage_noise > MAX_STORAGE_NOISE:
        storage = "float32"
        log.warning(
            "embeddings are stored as float32: float16 would add noise of %.2g standard deviations "
            "to a feature",
            selected.storage_noise,
        )
    metadata = {
        "backbone": backbone,
        "layer": layer,
        "image_size": image_size,
        "weights": resolved.to_dict(),
        "compute": selected.compute,
        "agreement": selected.agreement,
        "timed": selected.images_per_second,
        "storage_noise": selected.storage_noise if storage == "float16" else 0.0,
        "augment": embedding.augment.model_dump() if embedding.views else None,
        "seed": embedding.seed,
    }
    for split in ("train", "val"):
        embed_split(
            stream(split, embedding.batch_size),
            selected.forward,
            Path(embeddings.uri) / f"Split-{split}",
            split,
            storage=storage,
            views=embedding.views if split == "train" else 0,
            augment=embedding.augment,
            seed=embedding.seed,
            metadata=metadata,
            fit=fit,
        )
    embeddings.split_names = artifact_utils.encode_split_names(["train", "val"])
    for name, value in (
        ("backbone", backbone),
        ("layer", layer),
        ("weights_sha256", resolved.sha256),
    ):
        embeddings.set_string_custom_property(name, value)
