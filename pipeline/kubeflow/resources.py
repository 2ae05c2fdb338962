"""Resources of the nodes on a cluster: CPU, memory, GPUs, retries, caching."""

from collections.abc import Iterable
from typing import Any, Final

from components.model_to_beat import NODE_ID as BASELINE
from pipeline.kubeflow.options import DeployOptions, Resources, Target
from schema.errors import PneumoError

REST: Final = "default"
# Even a small node imports TensorFlow and TFX: about 1 GiB.
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
    "StressTest": Resources(cpu=4, memory_gib=16),
    "BulkInferrer": Resources(cpu=4, memory_gib=16),
    "EndpointValidator": Resources(cpu=2, memory_gib=8),
    "Report": Resources(cpu=2, memory_gib=8),
}
# Their outputs depend on a folder that is not part of the cache key.
NEVER_CACHED: Final = frozenset({BASELINE, "Pusher"})
# Read a URI whose content may change. Vertex AI runs TFX's driver, which fingerprints the files,
# before it looks in the cache; Kubeflow Pipelines does not.
READERS: Final = frozenset({"ImportExampleGen", "BatchExampleGen"})
# A retry would find the same anomaly.
NEVER_RETRIED: Final = frozenset({"AnomalyGate"})

_GIB_IN_GB: Final = 1.073741824  # the spec counts in 1e9 bytes
_KUBERNETES_GPU: Final = "nvidia.com/gpu"
GPU_LABEL: Final = "nvidia.com/gpu.product"


def node_resources(node: str, options: DeployOptions) -> Resources:
    """Returns the resources of a node: its entry, then the entry `default`, then DEFAULTS."""
    configured = options.resources
    layers = [DEFAULTS[REST], DEFAULTS.get(node), configured.get(REST), configured.get(node)]
    merged: dict[str, Any] = {}
    for layer in layers:
        values = layer.model_dump(exclude_none=True) if layer else {}
        if values.get("gpu") == 0:
            merged.pop("gpu_type", None)
        merged |= values
    return Resources(**merged)


def container_resources(node: str, resources: Resources, target: Target) -> dict[str, Any]:
    """Returns `resources` of a container in the format of the target; limits are also requests.

    Kubeflow Pipelines 2.4 and later read `resourceCpuLimit` and `resourceMemoryLimit`; older
    versions and Vertex AI read the numbers.

    Raises:
      PneumoError: Vertex AI needs the type of the GPU.
    """
    cpu, memory = resources.cpu or 0.0, resources.memory_gib or 0.0
    spec: dict[str, Any] = {"cpuLimit": cpu, "memoryLimit": round(memory * _GIB_IN_GB, 6)}
    if target == "kubeflow":
        spec |= {"resourceCpuLimit": f"{cpu:g}", "resourceMemoryLimit": f"{memory:g}Gi"}
    if not resources.gpu:
        return spec
    if target == "vertex":
        if not resources.gpu_type:
            raise PneumoError(
                f"deploy.resources.{node}: Vertex AI needs the type of the GPU; set gpu_type, such "
                "as NVIDIA_TESLA_T4"
            )
        spec["accelerator"] = {"type": resources.gpu_type, "count": str(resources.gpu)}
        return spec
    spec["accelerator"] = {
        "type": _KUBERNETES_GPU,
        "count": str(resources.gpu),
        "resourceType": _KUBERNETES_GPU,
        "resourceCount": str(resources.gpu),
    }
    return spec


def retry_policy(node: str, options: DeployOptions) -> dict[str, Any] | None:
    """Returns `retryPolicy` of a task; None: no retries."""
    times = options.retries_of.get(node, 0 if node in NEVER_RETRIED else options.retries)
    if not times:
        return None
    return {
        "maxRetryCount": times,
        "backoffDuration": "30s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }


def cached(node: str, options: DeployOptions, target: Target) -> bool:
    """Returns whether cached outputs of a task may be reused."""
    if node in NEVER_CACHED:
        return False
    cacheable = not (target == "kubeflow" and node in READERS)
    return options.caching_of.get(node, options.caching and cacheable)


def check_nodes(options: DeployOptions, nodes: Iterable[str]) -> None:
    """Checks the node names in the options.

    Raises:
      PneumoError: unknown node, or caching of a node whose outputs must not be cached.
    """
    known = set(nodes)
    named: dict[str, Iterable[str]] = {
        "resources": options.resources.keys() - {REST},
        "retries_of": options.retries_of,
        "caching_of": options.caching_of,
    }
    for key, names in named.items():
        for name in sorted(set(names) - known - DEFAULTS.keys()):
            raise PneumoError(
                f"deploy.{key}.{name}: the graph has no such node; there are "
                f"{', '.join(sorted(known))}"
            )
    for name in sorted(NEVER_CACHED):
        if options.caching_of.get(name):
            raise PneumoError(
                f"deploy.caching_of.{name}: its output depends on the pushed models and must not "
                "be cached; remove the key"
            )


def platform_options(node: str, options: DeployOptions) -> dict[str, Any]:
    """Returns the Kubernetes options of a node: GPU type and secret of the object store."""
    resources = node_resources(node, options)
    platform: dict[str, Any] = {}
    if resources.gpu and resources.gpu_type:
        platform["nodeSelector"] = {"labels": {GPU_LABEL: resources.gpu_type}}
    if options.secret:
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        variables = [{"secretKey": key, "envVar": key} for key in keys]
        platform["secretAsEnv"] = [{"secretName": options.secret, "keyToEnv": variables}]
    return platform
