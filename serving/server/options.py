"""Options of the built-in server."""

from dataclasses import dataclass, field
from pathlib import Path

from serving.server.versions import VersionPolicy


@dataclass(frozen=True)
class ServerOptions:
    """Options of one server: names and units as in `pneumo serve --help`.

    Not on the command line: `max_bodies_mib`, memory for all REST request bodies, and
    `max_connections`, open REST connections and concurrent gRPC calls.
    """

    model_dir: Path
    name: str = "pneumo"
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    poll_seconds: float = 1.0
    threads: int = 0
    max_batch: int = 32
    max_body_mib: int = 64
    max_bodies_mib: int = 512
    max_images: int = 128
    max_requests: int = 256
    max_connections: int = 1024
    deadline: float = 120.0
    slow_seconds: float = 30.0
    drain_seconds: float = 30.0
    ui: bool = False
    log_inputs: Path | None = None
    log_sample: float = 1.0
    log_embeddings: float = 0.0
