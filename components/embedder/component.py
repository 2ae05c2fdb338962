"""The Embedder node."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from components.embedder.options import EmbedderOptions
from core.embedding.embed import embed_split
from core.embedding.forward import select_forward
from core.models.backbone_weights import resolve_deferred
from core.training.data.transformed_images import transformed_images

AGREEMENT_IMAGES = 16
MAX_STORAGE_NOISE = 0.01  # standard deviations of a feature

log = logging.getLogger("pneumo.embed")


@component
def Embedder(
    examples: InputArtifact[Examples],
    embeddings: OutputArtifact[Examples],
    options: Parameter[str],
) -> None:
    """Runs the frozen part of a backbone once over the splits train and val.

    All epochs, seeds, heads and Tuner trials use the embeddings. The output has the type Examples,
    because the Trainer and Tuner of TFX accept no other; core.embedding.store defines its content.

    Args:
      examples: output of Transform.
      embeddings: `Split-<name>/` with features, maps, records and metadata.
      options: `EmbedderOptions` as JSON.

    Raises:
      ValueError: the training split has no image.
    """
    settings = EmbedderOptions.from_json(options)
    backbone, embedding = settings.backbone, settings.embedding
    weights = resolve_deferred(settings.weights, backbone)

    def stream(split: str, batch: int) -> Iterator[Any]:
        uri = artifact_utils.get_split_uri([examples], split)
        return transformed_images([f"{uri}/*"], settings.image_size, batch)

    first = next(iter(stream("train", AGREEMENT_IMAGES)), None)
    if first is None:
        raise ValueError("split 'train' has no image; check the output of Transform")
    selected = select_forward(
        backbone,
        settings.image_size,
        weights.file or None,
        settings.layer,
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
        "layer": settings.layer,
        "image_size": settings.image_size,
        "weights": weights.to_dict(),
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
            fit=settings.fit,
        )
    embeddings.split_names = artifact_utils.encode_split_names(["train", "val"])
    for name, value in (
        ("backbone", backbone),
        ("layer", settings.layer),
        ("weights_sha256", weights.sha256),
    ):
        embeddings.set_string_custom_property(name, value)
