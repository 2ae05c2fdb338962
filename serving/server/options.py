"""What `pneumo serve` can be told, and the limits that it keeps."""

from dataclasses import dataclass, field
from pathlib import Path

from serving.server.versions import Policy

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one client may ask of the server.

    Attributes:
      body: bytes of one request, as sent. An image of 32 MiB is 43 MiB in base64.
      bodies: bytes of all requests in memory together.
      images: rows in one request.
      requests: under way at once; more are told to come again.
      connections: open at once, REST.
      deadline: seconds from the whole request to its answer; waiting for a replica to come back
        counts.
      slow: seconds that a client may take to send a request.
      drain: seconds that requests under way have when the server is told to stop.
    """

    body: int = 64 * MIB
    bodies: int = 512 * MIB
    images: int = 128
    requests: int = 256
    connections: int = 1024
    deadline: float = 120.0
    slow: float = 30.0
    drain: float = 30.0


@dataclass(frozen=True)
class Options:
    """All of one server.

    Attributes:
      model_dir: folder of numbered versions.
      name: of the model, in addresses.
      host: address to listen on.
      rest_port: 0 takes a free one.
      grpc_port: 0 takes a free one.
      replicas: processes for each version.
      policy: which versions are served.
      poll: seconds between looks at the folder.
      max_batch: images that are computed together.
      threads: of one replica; 0 shares the machine's cores among the replicas.
      ui: serve the page.
      log_inputs: file for measures of the inputs, or none.
      log_sample: share of images that are logged, 0 to 1.
      log_embeddings: share of the logged ones that get their embedding too.
      limits: for the clients.
    """

    model_dir: Path
    name: str = "pneumo"
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    replicas: int = 1
    policy: Policy = field(default_factory=Policy)
    poll: float = 1.0
    max_batch: int = 32
    threads: int = 0
    ui: bool = False
    log_inputs: Path | None = None
    log_sample: float = 1.0
    log_embeddings: float = 0.0
    limits: Limits = field(default_factory=Limits)
