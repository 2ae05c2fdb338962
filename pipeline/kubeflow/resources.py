"""What each node gets on a cluster: processors, memory, GPUs, retries, cache."""

from collections.abc import Iterable
from typing import Any, Final

from components.model_to_beat import NODE_ID as BASELINE
from pipeline.kubeflow.options import DeployOptions, Resources, Target
from schema.errors import PneumoError

REST: Final = "default"
# A node that only reads numbers still imports TensorFlow and TFX: about 1 GiB.
DEFAULTS: Final[dict[str, Resources]] = {
    REST: Resources(cpu=1, memory_gib=4),
    "ImportExampleGen": Resources(cpu=2, memory_gib=8),
    "BatchExampleGen": Resources(cpu=2, memory_gib=8),
    "StatisticsGen": Resources(cpu=4, memory_gib=8),
    "Transform": Resources(cpu=4, memory_gib=16),
    "Embedder": Resources(cpu=8, memory_gib=32),
    "Tuner": Resources(cpu=4, memory_gib=16),
    "Trainer": Resources(cpu=8, memory_gib=32),
    "Evaluator": Resources(cpu=4, memory_gib=16),
    "Scorer": Resources(cpu=4, memory_gib=16),
    "BulkInferrer": Resources(cpu=4, memory_gib=16),
    "EndpointValidator": Resources(cpu=2, memory_gib=8),
    "Report": Resources(cpu=2, memory_gib=8),
}
# Their answer depends on a folder that the cache does not know of.
NEVER_CACHED: Final = frozenset({BASELINE, "Pusher"})
# Read a URI whose content may change under the same name. Vertex AI runs TFX's driver, which looks
# at the files, before it asks the cache; Kubeflow Pipelines does not.
READERS: Final = frozenset({"ImportExampleGen", "BatchExampleGen"})
# The same anomaly is there the next time.
NEVER_AGAIN: Final = frozenset({"AnomalyGate"})

_GIB_IN_GB: Final = 1.073741824  # the spec counts in 1e9 bytes
_KUBERNETES_GPU: Final = "nvidia.com/gpu"
GPU_LABEL: Final = "nvidia.com/gpu.product"


def node_resources(node: str, options: DeployOptions) -> Resources:
    """What a node gets: its own entry, then the entry `default`, then our defaults."""
    given = options.resources
    layers = [DEFAULTS[REST], DEFAULTS.get(node), given.get(REST), given.get(node)]
    merged: dict[str, Any] = {}
    for layer in layers:
        told = layer.model_dump(exclude_none=True) if layer else {}
        if told.get("gpu") == 0:
            merged.pop("gpu_type", None)
        merged |= told
    return Resources(**merged)


def container_resources(node: str, given: Resources, target: Target) -> dict[str, Any]:
    """`resources` of a container, in the words of the target; a limit is the request too.

    Kubeflow Pipelines reads `resourceCpuLimit` and its like since 2.4 and the numbers before that;
    Vertex AI reads the numbers.

    Raises:
      PneumoError: Vertex AI has to know which GPU.
    """
    cpu, memory = given.cpu or 0.0, given.memory_gib or 0.0
    spec: dict[str, Any] = {"cpuLimit": cpu, "memoryLimit": round(memory * _GIB_IN_GB, 6)}
    if target == "kubeflow":
        spec |= {"resourceCpuLimit": f"{cpu:g}", "resourceMemoryLimit": f"{memory:g}Gi"}
    if not given.gpu:
        return spec
    if target == "vertex":
        if not given.gpu_type:
            raise PneumoError(
                f"deploy.resources.{node}: Vertex AI has to know which GPU; set gpu_type, as "
                "NVIDIA_TESLA_T4"
            )
        spec["accelerator"] = {"type": given.gpu_type, "count": str(given.gpu)}
        return spec
    spec["accelerator"] = {
        "type": _KUBERNETES_GPU,
        "count": str(given.gpu),
        "resourceType": _KUBERNETES_GPU,
        "resourceCount": str(given.gpu),
    }
    return spec


def retry_policy(node: str, options: DeployOptions) -> dict[str, Any] | None:
    """`retryPolicy` of a task; None: it is not run again."""
    times = options.retries_of.get(node, 0 if node in NEVER_AGAIN else options.retries)
    if not times:
        return None
    return {
        "maxRetryCount": times,
        "backoffDuration": "30s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }


def cached(node: str, options: DeployOptions, target: Target) -> bool:
    """Whether a task may be answered from the cache."""
    if node in NEVER_CACHED:
        return False
    alone = not (target == "kubeflow" and node in READERS)
    return options.caching_of.get(node, options.caching and alone)


def check_nodes(options: DeployOptions, nodes: Iterable[str]) -> None:
    """Stops at a name that no node has.

    Raises:
      PneumoError: such a name, or a cache asked for where it would be wrong.
    """
    known = set(nodes)
    asked: dict[str, Iterable[str]] = {
        "resources": options.resources.keys() - {REST},
        "retries_of": options.retries_of,
        "caching_of": options.caching_of,
    }
    for key, names in asked.items():
        for name in sorted(set(names) - known - DEFAULTS.keys()):
            raise PneumoError(
                f"deploy.{key}.{name}: the graph has no such node; there are "
                f"{', '.join(sorted(known))}"
            )
    for name in sorted(NEVER_CACHED):
        if options.caching_of.get(name):
            raise PneumoError(
                f"deploy.caching_of.{name}: it looks at what was pushed, so a cache would answer "
                "with what was there before; take it out"
            )


def platform_options(node: str, options: DeployOptions) -> dict[str, Any]:
    """Returns what Kubernetes needs for a node beside the spec: GPU type and the store's secret."""
    resources = node_resources(node, options)
    platform: dict[str, Any] = {}
    if resources.gpu and resources.gpu_type:
        platform["nodeSelector"] = {"labels": {GPU_LABEL: resources.gpu_type}}
    if options.secret:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        variables = [{"secretKey": key, "envVar": key} for key in keys]
        platform["secretAsEnv"] = [{"secretName": options.secret, "keyToEnv": variables}]
    return platform
