"""Options of the engine that Beam runs on."""

import re
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import Field, field_validator

from schema.options import Options

Engine = Literal["direct", "processes", "portable", "flink", "spark", "dataflow"]
ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)

_ADDRESS = re.compile(r"(?:[^\s:/]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")


class BeamOptions(Options):
    """Options of the Beam engine; each engine ignores the options of the others."""

    parallelism: int | None = Field(
        None, ge=1, le=10_000, description="number of workers; none: cores of this machine"
    )
    job_endpoint: str | None = Field(
        None, description="HOST:PORT of a running job server (portable, flink, spark)"
    )
    worker_pool: str | None = Field(
        None,
        description="HOST:PORT of `python -m pipeline.engines.pool`, reachable from the engine",
    )
    image: str | None = Field(None, description="container image of the Python workers")
    job_server_jar: Path | None = Field(
        None, description="job server of Beam for flink or spark; none: Beam downloads it"
    )
    flink_master: str | None = Field(
        None, description="HOST:PORT of the Flink REST API; none: Flink in the job server"
    )
    flink_version: str | None = Field(
        None,
        pattern=r"^\d+\.\d+$",
        description="Flink version of the job server that Beam downloads",
    )
    spark_master: str | None = Field(
        None, description="spark://HOST:PORT; none: Spark in the job server"
    )
    project: str | None = Field(None, description="dataflow: cloud project")
    region: str | None = Field(None, description="dataflow: region, such as europe-west4")
    temp_location: str | None = Field(None, description="dataflow: gs:// folder of temporary files")
    staging_location: str | None = Field(
        None,
        description="dataflow: gs:// folder of staged files; none: staging/ below temp_location",
    )
    template_location: str | None = Field(
        None, description="dataflow: gs:// file to which the job is written instead of being run"
    )
    service_account: str | None = Field(
        None, description="dataflow: service account of the workers"
    )

    @field_validator("flink_version", mode="before")
    @classmethod
    def _quoted(cls, value: object) -> object:
        if isinstance(value, float):
            raise ValueError("write it in quotes, '1.20'; without quotes 1.20 is the number 1.2")
        return value

    @field_validator("job_endpoint", "worker_pool", "flink_master")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            match = _ADDRESS.fullmatch(value)
            if not match or not 0 < int(match[1]) < 65536:
                raise ValueError(f"an address is HOST:PORT, such as 10.0.0.5:8099; not {value!r}")
        return value

    @field_validator("spark_master")
    @classmethod
    def _master(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("spark://", "local")):
            raise ValueError(f"spark_master is spark://HOST:PORT or local[N]; not {value!r}")
        return value

    @field_validator("temp_location", "staging_location", "template_location")
    @classmethod
    def _stored(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("gs://"):
            raise ValueError(f"this must be a gs:// URI; not {value!r}")
        return value
