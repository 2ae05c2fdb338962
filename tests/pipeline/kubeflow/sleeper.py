"""A component that writes half of its output and then waits to be stopped."""

import time
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor


class Executor(base_executor.BaseExecutor):
    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],  # noqa: ARG002
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],  # noqa: ARG002
    ) -> None:
        (Path(output_dict["model"][0].uri) / "half").write_text("half")
        print("sleeps", flush=True)
        time.sleep(600)
