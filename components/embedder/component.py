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
TOO_NOISY = 0.01  # standard deviations of a feature

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
    """Runs the frozen part of a backbone once over the splits train, with its views, and val.

    The embeddings serve every epoch, seed, head and trial. The output has the type Examples,
    because TFX's Trainer and Tuner take no other; its payload is that of core.embedding.store.

    Args:
      examples: output of Transform.
      embeddings: `Split-<name>/` with features, maps, records and facts.
      backbone: a name of core.models.backbones.BACKBONES.
      weights: `BackboneWeights.to_dict()` in JSON.
      layer: "top", or a layer at which the backbone is layer.
      options: `EmbeddingOptions` in JSON.
      fit: how images were resized to a square, "stretch" or "pad"; boxes are resized alike.

    Raises:
      ValueError: split train has no image.
    """
    wanted = EmbeddingOptions(**json.loads(options))
    resolved = resolve_deferred(BackboneWeights(**json.loads(weights)), backbone)

    def stream(split: str, batch: int) -> Iterator[Any]:
        uri = artifact_utils.get_split_uri([examples], split)
        return transformed_images([f"{uri}/*"], image_size, batch)

    first = next(iter(stream("train", AGREEMENT_IMAGES)), None)
    if first is None:
        raise ValueError("split 'train' has no image; look at what Transform wrote")
    chosen = select_forward(
        backbone,
        image_size,
        resolved.file or None,
        layer,
        wanted.compute,
        first[0].numpy(),
        wanted.seed,
    )
    storage = wanted.storage
    if storage == "float16" and chosen.storage_noise > TOO_NOISY:
        storage = "float32"
        log.warning(
            "stored as float32: float16 would add %.2g standard deviations of noise to a feature",
            chosen.storage_noise,
        )
    facts = {
        "backbone": backbone,
        "layer": layer,
        "image_size": image_size,
        "weights": resolved.to_dict(),
        "compute": chosen.compute,
        "agreement": chosen.agreement,
        "timed": chosen.images_per_second,
        "storage_noise": chosen.storage_noise if storage == "float16" else 0.0,
        "augment": wanted.augment.model_dump() if wanted.views else None,
        "seed": wanted.seed,
    }
    for split in ("train", "val"):
        embed_split(
            stream(split, wanted.batch_size),
            chosen.run,
            Path(embeddings.uri) / f"Split-{split}",
            split,
            storage=storage,
            views=wanted.views if split == "train" else 0,
            augment=wanted.augment,
            seed=wanted.seed,
            facts=facts,
            fit=fit,
        )
    embeddings.split_names = artifact_utils.encode_split_names(["train", "val"])
    for name, value in (
        ("backbone", backbone),
        ("layer", layer),
        ("weights_sha256", resolved.sha256),
    ):
        embeddings.set_string_custom_property(name, value)
