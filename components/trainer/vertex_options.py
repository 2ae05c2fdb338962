"""What a configuration says of training on Vertex AI."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Pool(BaseModel):
    """Machines of one kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine_type: str = Field("n1-standard-8", description="as n1-standard-8, a2-highgpu-1g")
    accelerator_type: str | None = Field(None, description="as NVIDIA_TESLA_T4; none: processors")
    accelerator_count: int = Field(0, ge=0, le=16, description="of each machine")
    disk_gib: int = Field(200, ge=100, le=64000, description="for the copies of the artifacts")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.accelerator_type) != bool(self.accelerator_count):
            raise ValueError("accelerator_type and accelerator_count belong together")
        return self


class VertexTraining(BaseModel):
    """A custom job that trains: a chief, and workers beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chief: Pool = Field(default_factory=Pool)
    worker: Pool | None = Field(None, description="none: as the chief")
    workers: int = Field(0, ge=0, le=63, description="beside the chief")
    timeout_hours: float = Field(24.0, gt=0, le=168)
    scheduling: Literal["STANDARD", "SPOT"] = Field(
        "STANDARD", description="SPOT: cheaper machines that may be taken away; the job starts "
        "again and goes on from the last checkpoint"
    )  # fmt: skip
    service_account: str | None = Field(None, description="none: that of the nodes")
    network: str | None = Field(
        None, description="projects/NUMBER/global/networks/NAME, peered; none: Vertex AI's own"
    )
