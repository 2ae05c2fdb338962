"""Which infrastructure validates the candidate, and the node for it."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from serving.server.engines import IMAGE

if TYPE_CHECKING:
    from tfx import types

Wanted = Literal["auto", "docker", "kubernetes", "endpoint", "savedmodel", "none"]
Chosen = Literal["docker", "kubernetes", "endpoint", "savedmodel", "none"]

_, TAG = IMAGE.split(":")


def docker_has_image() -> bool:
    """Whether a container engine answers and holds TF Serving's image."""
    try:
        import docker

        client = docker.from_env(timeout=5)
        try:
            client.images.get(IMAGE)
        finally:
            client.close()
    except Exception:  # the package raises its own errors, and those of what lies below it
        return False
    return True


def in_cluster() -> bool:
    """Whether this process runs in a pod; TFX starts servers in Kubernetes only from there."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def can_serve() -> bool:
    """Whether `pneumo serve` has something to serve with."""
    server = shutil.which("tensorflow_model_server")
    return bool(server) or importlib.util.find_spec("ray") is not None


def choose(
    wanted: Wanted,
    docker: Callable[[], bool] = docker_has_image,
    cluster: Callable[[], bool] = in_cluster,
    serve: Callable[[], bool] = can_serve,
) -> Chosen:
    """The nearest to production that this machine has, where the configuration leaves it open.

    Args:
      wanted: `serving.infra_validation` of the configuration.
      docker: asked first.
      cluster: asked then.
      serve: asked then; a process that loads the SavedModel is what is always there.
    """
    if wanted != "auto":
        return wanted
    if docker():
        return "docker"
    if cluster():
        return "kubernetes"
    return "endpoint" if serve() else "savedmodel"


def infra_validator(
    how: Chosen,
    *,
    model: "types.BaseChannel",
    examples: "types.BaseChannel",
    predictions: "types.BaseChannel",
    model_blessing: "types.BaseChannel",
) -> Any:
    """The node, whose output `blessing` is an InfraBlessing; None for "none".

    Args:
      how: see `choose`.
      model: the candidate.
      examples: raw records.
      predictions: output of Scorer.
      model_blessing: output of Gate.
    """
    if how == "none":
        return None
    if how in ("endpoint", "savedmodel"):
        from components.endpoint_validator.component import EndpointValidator

        return EndpointValidator(
            model=model,
            examples=examples,
            predictions=predictions,
            model_blessing=model_blessing,
            how=how,
        )
    import tfx.v1 as tfx

    where = tfx.proto.LocalDockerConfig() if how == "docker" else tfx.proto.KubernetesConfig()
    platform = "local_docker" if how == "docker" else "kubernetes"
    return tfx.components.InfraValidator(
        model=model,
        examples=examples,
        serving_spec=tfx.proto.ServingSpec(
            tensorflow_serving=tfx.proto.TensorFlowServing(tags=[TAG]),
            model_name="pneumo",
            **{platform: where},
        ),
        # A second try is for a busy machine; more only make a broken model wait.
        validation_spec=tfx.proto.ValidationSpec(max_loading_time_seconds=300, num_tries=2),
        request_spec=tfx.proto.RequestSpec(
            tensorflow_serving=tfx.proto.TensorFlowServingRequestSpec(signature_names=["examples"]),
            split_name="test",
            num_examples=8,
        ),
    )
