"""Which server is started: TensorFlow Serving where it is at hand, else ours on Ray Serve."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from schema.errors import PneumoError
from serving.server.options import Options

ENGINES = ("auto", "tensorflow_model_server", "container", "ray")
BINARY = "tensorflow_model_server"
CONTAINERS = ("docker", "podman")
# The newest whose client library can be had as a package.
# The full name: podman resolves no short one where it has no search registries.
IMAGE = "docker.io/tensorflow/serving:2.19.1"
DEPLOY = Path(__file__).parents[1] / "deploy"


def choose(
    wanted: str, which: Callable[[str], str | None] = shutil.which,
    answers: Callable[[str], bool] | None = None,
) -> tuple[str, str]:  # fmt: skip
    """The engine and its program.

    Args:
      wanted: one of ENGINES.
      which: finds programs.
      answers: whether a container engine works.

    Raises:
      PneumoError: the wanted one is not there.
    """
    answers = answers or _answers
    if wanted in ("auto", BINARY) and (program := which(BINARY)):
        return BINARY, program
    if wanted in ("auto", "container"):
        for name in CONTAINERS:
            if (program := which(name)) and answers(program):
                return "container", program
    if wanted in ("auto", "ray"):
        return "ray", ""
    what = (
        "is not on the PATH" if wanted == BINARY else "needs docker or podman, which do not answer"
    )
    raise PneumoError(f"engine {wanted} {what}; --engine auto takes what there is")


def _answers(program: str) -> bool:
    try:
        done = subprocess.run([program, "info"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def command(engine: str, program: str, options: Options, image: str = IMAGE) -> list[str]:
    """The command line of TensorFlow Serving, by itself or in a container of `image`."""
    folder = options.model_dir.resolve()
    if engine == BINARY:
        return [
            program, f"--port={options.grpc_port}", f"--rest_api_port={options.rest_port}",
            f"--model_name={options.name}", f"--model_base_path={folder}",
            *_settings(DEPLOY),
        ]  # fmt: skip
    inside = Path("/deploy")
    return [
        program, "run", "--rm", "--init", "--read-only", "--cap-drop=ALL",
        f"--publish={options.host}:{options.rest_port}:8501",
        f"--publish={options.host}:{options.grpc_port}:8500",
        f"--volume={folder}:/models/{options.name}:ro",
        *([f"--volume={DEPLOY}:{inside}:ro"] if DEPLOY.is_dir() else []),
        f"--env=MODEL_NAME={options.name}", image,
        *_settings(inside),
    ]  # fmt: skip


def _settings(seen_as: Path) -> list[str]:
    """Flags for the files of serving/deploy, by the address that the server sees them at."""
    found = []
    if (DEPLOY / "batching.config").is_file():
        found += [
            "--enable_batching=true",
            f"--batching_parameters_file={seen_as / 'batching.config'}",
        ]
    if (DEPLOY / "monitoring.config").is_file():
        found.append(f"--monitoring_config_file={seen_as / 'monitoring.config'}")
    return found
