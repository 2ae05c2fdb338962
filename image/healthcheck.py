"""HEALTHCHECK of the image.

A container of `pneumo serve` is healthy when a model version is loaded (GET /readyz). Any other
command is healthy as long as it runs. Exit status 0 or 1. Kubernetes uses its own probes instead.
"""

import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

DEFAULT_PORT = 8501


def rest_port(command: Sequence[str]) -> int | None:
    """Returns the REST port of a command line, or None if it is not `pneumo serve`."""
    if "serve" not in command:
        return None
    options = list(command[command.index("serve") + 1 :])
    for index, option in enumerate(options):
        if option.startswith("--rest-port="):
            return int(option.partition("=")[2])
        if option == "--rest-port":
            return int(options[index + 1])
    return DEFAULT_PORT


def main(command_line: Path = Path("/proc/1/cmdline")) -> int:
    """Returns the exit status; prints one line if the server is not healthy."""
    port = rest_port(command_line.read_bytes().decode(errors="replace").split("\0"))
    if port is None:
        return 0
    address = f"http://127.0.0.1:{port}/readyz"
    # The container's proxy settings must not apply to its own loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5):
            return 0
    except OSError as error:
        print(f"healthcheck: {address}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
