"""Local ports, and proxy settings for connections to this machine."""

import os
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_LOCAL_HOSTS: Final = ("localhost", LOOPBACK, "::1")
_GRPC_VARIABLE: Final = "no_grpc_proxy"


def bypass_proxy_for_loopback() -> None:
    """Excludes this machine from the proxy settings of this process and its children.

    gRPC uses `http_proxy` even for 127.0.0.1, which the proxy cannot reach: Beam's workers would
    wait for each other until `grpc.FutureTimeoutError`.
    """
    excluded = _listed("no_proxy") or _listed("NO_PROXY")
    others = [host for host in excluded if host not in _LOCAL_HOSTS]
    # A lone "*" means every host; in a list it matches nothing, and gRPC does not support it.
    if others != ["*"]:
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join([*others, *_LOCAL_HOSTS])
    remote = [
        host for host in _listed(_GRPC_VARIABLE) or others if host not in ("*", *_LOCAL_HOSTS)
    ]
    os.environ[_GRPC_VARIABLE] = ",".join([*remote, *_LOCAL_HOSTS])


def _listed(name: str) -> list[str]:
    return [host.strip() for host in os.environ.get(name, "").split(",") if host.strip()]


def free_ports(count: int) -> list[int]:
    """Returns unused ports of the loopback address."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def is_listening(address: str) -> bool:
    """Whether something accepts connections at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except (OSError, ValueError):
        return False
