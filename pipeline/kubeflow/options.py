"""What a configuration says of the cluster that runs it."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from schema.options import Options

Target = Literal["kubeflow", "vertex"]


class Resources(Options):
    """What one node gets. What is left out is as the defaults of `pipeline.kubeflow.resources`."""

    cpu: float | None = Field(None, gt=0, le=1024, description="processors")
    memory_gib: float | None = Field(None, gt=0, le=65536, description="memory, GiB")
    gpu: int | None = Field(None, ge=0, le=64, description="how many GPUs; 0: none")
    gpu_type: str | None = Field(
        None,
        description="on vertex the accelerator's name, as NVIDIA_TESLA_T4; on kubeflow the value "
        "of the node label nvidia.com/gpu.product, as Tesla-T4; none: any",
    )

    @model_validator(mode="after")
    def _type_of_some(self) -> Self:
        if self.gpu_type and not self.gpu:
            raise ValueError(f"gpu_type {self.gpu_type!r} without gpu; say how many")
        return self


class DeployOptions(Options):
    """Where and how `pneumo compile` and `pneumo submit` run the graph."""

    image: str | None = Field(None, description="container image, as registry/pneumo-tfx:TAG")
    root: str | None = Field(None, description="gs://, s3:// or minio:// folder of the artifacts")
    data: str | None = Field(None, description="URI of the folder that `pneumo ingest` wrote")
    push_to: str | None = Field(
        None, description="URI that model servers watch; none: serving/ below root"
    )
    checkpoints: str | None = Field(
        None, description="URI of training states; none: checkpoints/ below root"
    )
    project: str | None = Field(None, description="of vertex: the cloud project")
    region: str | None = Field(None, description="of vertex, as europe-west4")
    api_endpoint: str | None = Field(
        None, description="of vertex: HOST:PORT of the API, as a private one; none: the region's"
    )
    host: str | None = Field(None, description="of kubeflow: address of the API, with http(s)://")
    namespace: str | None = Field(None, description="of kubeflow, where it has several users")
    service_account: str | None = Field(None, description="the account that the nodes run as")
    experiment: str | None = Field(
        None, description="group of runs; none: the configuration's name"
    )
    resources: dict[str, Resources] = Field(
        default_factory=dict, description="node -> what it gets; key default: every other node"
    )
    retries: int = Field(2, ge=0, le=10, description="how often a node that failed runs again")
    retries_of: dict[str, int] = Field(default_factory=dict, description="node -> the same")
    caching: bool = Field(True, description="answer a node that ran on the same inputs from cache")
    caching_of: dict[str, bool] = Field(default_factory=dict, description="node -> the same")
    env: dict[str, str] = Field(
        default_factory=dict, description="environment of every container; nothing secret"
    )
    secret: str | None = Field(
        None,
        description="of kubeflow: Kubernetes secret whose keys AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY every container gets as environment",
    )

    @field_validator("retries_of")
    @classmethod
    def _few(cls, value: dict[str, int]) -> dict[str, int]:
        for node, times in value.items():
            if not 0 <= times <= 10:
                raise ValueError(f"{node}: 0 to 10 retries, not {times}")
        return value
