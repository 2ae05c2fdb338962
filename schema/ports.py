"""Ports of this machine, and the environment's proxy, which must not be used for them."""

import os
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_HERE: Final = ("localhost", LOOPBACK, "::1")
_OF_GRPC: Final = "no_grpc_proxy"


def bypass_proxy_for_loopback() -> None:
    """Excepts this machine from the environment's proxy, for this process and its children.

    gRPC sends even what goes to 127.0.0.1 through `http_proxy`, and a proxy cannot reach it: Beam's
    workers would wait for each other until `grpc.FutureTimeoutError`.
    """
    given = _listed("no_proxy") or _listed("NO_PROXY")
    others = [host for host in given if host not in _HERE]
    # "*" alone means every host; in a list it means none, and gRPC does not know it at all.
    if others != ["*"]:
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join([*others, *_HERE])
    far = [host for host in _listed(_OF_GRPC) or others if host not in ("*", *_HERE)]
    os.environ[_OF_GRPC] = ",".join([*far, *_HERE])


def _listed(name: str) -> list[str]:
    return [host.strip() for host in os.environ.get(name, "").split(",") if host.strip()]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on at this moment."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def is_listening(address: str) -> bool:
    """Whether something accepts connections at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except (OSError, ValueError):
        return False
