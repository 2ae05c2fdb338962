"""Runs `pneumo` and kills it with SIGKILL inside a chosen node: python -m ... NODE WHEN ARGS...

WHEN is "start" (its folders exist), "end" (its outputs are written but not published) or a number
of seconds after its start.
"""

import os
import signal
import sys
import threading
from typing import Any


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(argv: list[str]) -> None:
    """Runs `pneumo` and kills this process inside a node."""
    node, when, *arguments = argv
    from tfx.orchestration.portable import launcher

    real = launcher.Launcher._run_executor

    def run_executor(self: Any, info: Any) -> Any:
        if self._pipeline_node.node_info.id != node:
            return real(self, info)
        if when == "start":
            launcher.outputs_utils.make_output_dirs(info.output_dict)
            die()
        if when != "end":
            threading.Timer(float(when), die).start()
        result = real(self, info)
        die()
        return result

    launcher.Launcher._run_executor = run_executor
    if node == "latest_blessed_model":  # a resolver has no executor: die while it resolves
        from components.baseline.strategy import BlessedBeforeStrategy

        BlessedBeforeStrategy.resolve_artifacts = lambda *_: die()
    from pipeline.cli import main as pneumo

    pneumo(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
