"""A run that takes no time: module for pipeline.watch.child, told by a file what to do."""

import os
import signal
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Notes that it ran in FOLDER/ran; does what FOLDER/order says."""
    folder = Path(arguments[0])
    with (folder / "ran").open("a") as out:
        out.write(f"{len(list((folder / 'data').rglob('*.png')))}\n")
    order = (folder / "order").read_text()
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "wait":
        while (folder / "order").read_text() == "wait":
            time.sleep(0.05)
    if order == "crash":
        raise RuntimeError("crashed")
    sys.exit(int(order) if order.isdigit() else 0)
