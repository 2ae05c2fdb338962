"""The custom job that trains on Vertex AI, as the graph carries it."""

from typing import TYPE_CHECKING, Any

from pipeline.kubeflow.options import Target
from schema.errors import PneumoError

if TYPE_CHECKING:
    from pipeline.config import Config


def vertex_job(config: "Config", target: Target, image: str) -> dict[str, Any]:
    """What the Trainer's `custom_config` holds beside its options; empty: it trains itself.

    Args:
      config: `deploy.vertex_training` says which machines.
      target: who runs the graph.
      image: of every container.

    Raises:
      PneumoError: the job cannot be as it was asked for.
    """
    deploy, wanted = config.deploy, config.deploy.vertex_training
    if wanted is None:
        return {}
    if target != "vertex":
        raise PneumoError(
            "deploy.vertex_training is of --target vertex; on kubeflow give the Trainer GPUs with "
            "deploy.resources.Trainer, or leave it out"
        )
    if not deploy.project or not deploy.region:
        raise PneumoError(
            "deploy.vertex_training starts a job of its own, whose project and region stand in the "
            "file; set deploy.project and deploy.region"
        )
    if wanted.workers and config.training.distribution != "multi_worker":
        raise PneumoError(
            f"deploy.vertex_training.workers: {wanted.workers} beside the chief have nothing to do "
            "without training.distribution: multi_worker"
        )
    from components.trainer.vertex import job_config

    return job_config(
        wanted,
        name=f"pneumo-{config.name}-training",
        image=image,
        project=deploy.project,
        region=deploy.region,
        service_account=deploy.service_account,
        env=deploy.env,
    )
