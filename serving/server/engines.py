"""Selects the server of `pneumo serve`: TensorFlow Serving if it can run, else the built-in one."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from schema.errors import PneumoError
from serving.server.options import ServerOptions

ENGINES = ("auto", "tf-serving", "container", "builtin")
BINARY = "tensorflow_model_server"
CONTAINERS = ("docker", "podman")
# The latest release that has a client library; podman needs the full name.
IMAGE = "docker.io/tensorflow/serving:2.19.1"
DEPLOY = Path(__file__).parents[1] / "deploy"


def choose(
    engine: str,
    image: str = IMAGE,
    which: Callable[[str], str | None] = shutil.which,
    container_error: Callable[[str, str], str] | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[str, str]:
    """Chooses the engine.

    Args:
      engine: one of ENGINES.
      image: container image of TensorFlow Serving.
      which: locates programs on the PATH.
      container_error: see `run_error`.
      notify: called with a line about each container engine that cannot run the image.

    Returns:
      The engine and the path of its program ("" for the built-in server).

    Raises:
      PneumoError: the requested engine cannot be started.
    """
    container_error = container_error or run_error
    errors = []
    if engine in ("auto", "tf-serving"):
        if program := which(BINARY):
            return "tf-serving", program
        errors.append(f"{BINARY} is not on the PATH")
    if engine in ("auto", "container"):
        for program in filter(None, map(which, CONTAINERS)):
            if not (error := container_error(program, image)):
                return "container", program
            errors.append(f"{Path(program).name} cannot run {image}: {error}")
            notify(errors[-1])
        errors.append("neither docker nor podman is on the PATH")
    if engine in ("auto", "builtin"):
        return "builtin", ""
    raise PneumoError(f"engine {engine}: {errors[0]}; use --engine auto or builtin")


def run_error(program: str, image: str) -> str:
    """Returns why a container engine cannot run the image (pulled if needed); empty if it can."""
    command = [program, "run", "--rm", image, "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = [line for line in done.stderr.splitlines() if line.strip() and "--help" not in line]
    return (lines or [f"status {done.returncode}"])[-1][:300] if done.returncode else ""


def full_name(image: str) -> str:
    """Returns an image name with its registry: podman does not resolve short names."""
    registry, slash, _ = image.partition("/")
    if slash and ("." in registry or ":" in registry or registry == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


def command(engine: str, program: str, options: ServerOptions, image: str = IMAGE) -> list[str]:
    """Returns the command line of TensorFlow Serving, as a program or in a container."""
    folder = options.model_dir.resolve()
    if engine == "tf-serving":
        return [
            program,
            f"--port={options.grpc_port}",
            f"--rest_api_port={options.rest_port}",
            f"--model_name={options.name}",
            f"--model_base_path={folder}",
            *_config_flags(DEPLOY),
        ]
    mounted = Path("/deploy")
    return [
        program,
        *("run", "--rm", "--init", "--read-only", "--cap-drop=ALL"),
        f"--publish={options.host}:{options.rest_port}:8501",
        f"--publish={options.host}:{options.grpc_port}:8500",
        f"--volume={folder}:/models/{options.name}:ro",
        f"--volume={DEPLOY}:{mounted}:ro",
        f"--env=MODEL_NAME={options.name}",
        image,
        *_config_flags(mounted),
    ]


def _config_flags(folder: Path) -> list[str]:
    """Returns the flags for the configuration files in `folder`."""
    return [
        "--enable_batching=true",
        f"--batching_parameters_file={folder / 'batching.config'}",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
    ]
