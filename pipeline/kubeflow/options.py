"""Options of the cluster that runs the graph."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from schema.options import Options

Target = Literal["kubeflow", "vertex"]


class Resources(Options):
    """Resources of a node; unset values are the defaults of `pipeline.kubeflow.resources`."""

    cpu: float | None = Field(None, gt=0, le=1024, description="CPU cores")
    memory_gib: float | None = Field(None, gt=0, le=65536, description="memory, GiB")
    gpu: int | None = Field(None, ge=0, le=64, description="number of GPUs")
    gpu_type: str | None = Field(
        None,
        description="on vertex the name of the accelerator, such as NVIDIA_TESLA_T4; on kubeflow "
        "the value of the node label nvidia.com/gpu.product, such as Tesla-T4; none: any",
    )

    @model_validator(mode="after")
    def _type_of_some(self) -> Self:
        if self.gpu_type and not self.gpu:
            raise ValueError(
                f"gpu_type {self.gpu_type!r} without gpu; set gpu to the number of GPUs"
            )
        return self


class DeployOptions(Options):
    """Where and how `pneumo compile` and `pneumo submit` run the graph."""

    image: str | None = Field(None, description="container image, such as registry/pneumo-tfx:TAG")
    root: str | None = Field(None, description="gs://, s3:// or minio:// folder of the artifacts")
    data: str | None = Field(None, description="URI of the folder that `pneumo ingest` wrote")
    push_to: str | None = Field(
        None, description="URI of the folder that model servers watch; none: serving/ below root"
    )
    checkpoints: str | None = Field(
        None, description="URI of training checkpoints; none: checkpoints/ below root"
    )
    project: str | None = Field(None, description="vertex: cloud project")
    region: str | None = Field(None, description="vertex: region, such as europe-west4")
    api_endpoint: str | None = Field(
        None,
        description="vertex: HOST:PORT of a private API endpoint; none: endpoint of the region",
    )
    host: str | None = Field(None, description="kubeflow: address of the API, with http(s)://")
    namespace: str | None = Field(
        None, description="kubeflow: namespace, in multi-user installations"
    )
    service_account: str | None = Field(None, description="service account of the nodes")
    experiment: str | None = Field(
        None, description="experiment that groups runs; none: name of the configuration"
    )
    resources: dict[str, Resources] = Field(
        default_factory=dict, description="node -> its resources; default: all other nodes"
    )
    retries: int = Field(2, ge=0, le=10, description="number of retries of a failed node")
    retries_of: dict[str, int] = Field(default_factory=dict, description="node -> its retries")
    caching: bool = Field(True, description="reuse cached outputs of a node with the same inputs")
    caching_of: dict[str, bool] = Field(
        default_factory=dict, description="node -> whether it is cached"
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="environment of every container; do not put secrets here"
    )
    secret: str | None = Field(
        None,
        description="kubeflow: Kubernetes secret whose keys AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY every container gets as environment",
    )

    @field_validator("retries_of")
    @classmethod
    def _few(cls, value: dict[str, int]) -> dict[str, int]:
        for node, times in value.items():
            if not 0 <= times <= 10:
                raise ValueError(f"{node}: 0 to 10 retries, not {times}")
        return value
