"""Selects the infrastructure validation node of a configuration."""

from typing import Any, Literal

Validation = Literal["auto", "docker", "kubernetes", "endpoint", "savedmodel", "none"]


def infra_validator(
    how: Validation, image: str, *, model: Any, examples: Any, predictions: Any, model_blessing: Any
) -> Any:
    """Builds the node whose output `blessing` is an InfraBlessing; None for "none".

    "kubernetes" is TFX's own InfraValidator: it starts the server in a pod of the cluster in which
    this process runs, and checks that the server responds.

    Args:
      how: `serving.infra_validation` of the configuration.
      image: container image of TensorFlow Serving, as NAME:TAG or NAME@DIGEST.
      model: the candidate.
      examples: raw records.
      predictions: output of Scorer.
      model_blessing: output of Gate.
    """
    if how == "none":
        return None
    if how != "kubernetes":
        from components.endpoint_validator.component import EndpointValidator

        return EndpointValidator(
            model=model,
            examples=examples,
            predictions=predictions,
            model_blessing=model_blessing,
            how=how,
            image=image,
        )
    import tfx.v1 as tfx

    name, by_digest, version = image.partition("@")
    if not by_digest:
        name, _, version = image.rpartition(":")
    pinned = {"digests" if by_digest else "tags": [version]}
    return tfx.components.InfraValidator(
        model=model,
        examples=examples,
        serving_spec=tfx.proto.ServingSpec(
            tensorflow_serving=tfx.proto.TensorFlowServing(image_name=name, **pinned),
            kubernetes=tfx.proto.KubernetesConfig(),
            model_name="pneumo",
        ),
        # A second try is for a busy machine; more only make a broken model wait.
        validation_spec=tfx.proto.ValidationSpec(max_loading_time_seconds=300, num_tries=2),
        request_spec=tfx.proto.RequestSpec(
            tensorflow_serving=tfx.proto.TensorFlowServingRequestSpec(signature_names=["examples"]),
            split_name="test",
            num_examples=8,
        ),
    )
