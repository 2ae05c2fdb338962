"""Training as a custom job of Vertex AI, through TFX's own extension.

The node starts the job and waits for it; each machine of the job runs `RankExecutor`. Imported
where the graph is built for Vertex AI: the extension needs Google's client libraries.
"""

from typing import Any

from tfx.dsl.components.base import executor_spec
from tfx.extensions.google_cloud_ai_platform import constants
from tfx.extensions.google_cloud_ai_platform.trainer import component, executor

from components.trainer.executor import RankExecutor
from components.trainer.vertex_options import Pool, VertexTraining


class VertexExecutor(executor.GenericExecutor):
    """Starts the job, and waits for it."""

    def _GetExecutorClass(self) -> type:  # noqa: N802  TFX's name
        return RankExecutor


class VertexTrainer(component.Trainer):
    """TFX's Trainer on Vertex AI, with processes that copy what they read from the store.

    Inputs, outputs and parameters are those of `tfx.components.Trainer`; `custom_config` holds what
    `job_config` gives beside what `run_fn` reads.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(VertexExecutor)


def job_config(
    options: VertexTraining,
    *,
    name: str,
    image: str,
    project: str,
    region: str,
    service_account: str | None = None,
    env: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What the extension reads in `custom_config`.

    Args:
      options: machines.
      name: of the job, as it is shown.
      image: container image of every machine.
      project: the cloud project.
      region: as europe-west4.
      service_account: of the nodes, where the options name none.
      env: environment of every process.
    """
    pools = [_pool(options.chief, 1, image, env or {})]
    if options.workers:
        pools.append(_pool(options.worker or options.chief, options.workers, image, env or {}))
    spec: dict[str, Any] = {
        "worker_pool_specs": pools,
        "scheduling": {
            "timeout": f"{round(options.timeout_hours * 3600)}s",
            "strategy": options.scheduling,
            # A process that joins again finds the others gone on: all start together, or none.
            "restart_job_on_worker_restart": True,
        },
    }
    if account := options.service_account or service_account:
        spec["service_account"] = account
    if options.network:
        spec["network"] = options.network
    return {
        constants.ENABLE_VERTEX_KEY: True,
        constants.VERTEX_REGION_KEY: region,
        executor.TRAINING_ARGS_KEY: {"project": project, "display_name": name, "job_spec": spec},
    }


def _pool(pool: Pool, replicas: int, image: str, env: dict[str, str]) -> dict[str, Any]:
    machine: dict[str, Any] = {"machine_type": pool.machine_type}
    if pool.accelerator_type:
        machine["accelerator_type"] = pool.accelerator_type
        machine["accelerator_count"] = pool.accelerator_count
    return {
        "machine_spec": machine,
        "replica_count": replicas,
        "disk_spec": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": pool.disk_gib},
        "container_spec": {
            "image_uri": image,
            "env": [{"name": key, "value": value} for key, value in sorted(env.items())],
        },
    }
