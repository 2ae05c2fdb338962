"""HEALTHCHECK of the image: is what runs in this container well?

A container of `pneumo serve` is well when a version of its model is loaded (GET /readyz). Any other
command is well as long as it lives. Exit status 0 or 1. Kubernetes asks by its own probes instead.
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

DEFAULT_PORT = 8501


def rest_port(words: Sequence[str]) -> int | None:
    """The REST port of a command line, or None if it does not serve."""
    if "serve" not in words:
        return None
    options = list(words[words.index("serve") + 1 :])
    for place, word in enumerate(options):
        if word.startswith("--rest-port="):
            return int(word.partition("=")[2])
        if word == "--rest-port":
            return int(options[place + 1])
    return DEFAULT_PORT


def main(command_line: Path = Path("/proc/1/cmdline")) -> int:
    """Exit status: 0 for well, 1 for not; says why in one line."""
    words = command_line.read_bytes().decode(errors="replace").split("\0")
    port = rest_port(words)
    if port is None:
        return 0
    address = f"http://127.0.0.1:{port}/readyz"
    # A proxy that the container's variables name has no business with this machine's own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=5):
            return 0
    except (urllib.error.URLError, OSError) as error:
        print(f"healthcheck: {address}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
