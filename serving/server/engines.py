"""Which server `pneumo serve` starts: TensorFlow Serving where it can run, else the built-in."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from schema.errors import PneumoError
from serving.server.options import ServerOptions

ENGINES = ("auto", "tf-serving", "container", "builtin")
BINARY = "tensorflow_model_server"
CONTAINERS = ("docker", "podman")
# The newest with a client library; the full name, because podman has no default registry.
IMAGE = "docker.io/tensorflow/serving:2.19.1"
DEPLOY = Path(__file__).parents[1] / "deploy"


def choose(
    wanted: str,
    image: str = IMAGE,
    which: Callable[[str], str | None] = shutil.which,
    container_error: Callable[[str, str], str] | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[str, str]:
    """Chooses the engine.

    Args:
      wanted: one of ENGINES.
      image: of TensorFlow Serving.
      which: finds programs.
      container_error: see `run_error`.
      notify: called with a line about each container engine that is left out.

    Returns:
      The engine, and the path of its program.

    Raises:
      PneumoError: the wanted engine cannot be started here.
    """
    container_error = container_error or run_error
    errors = []
    if wanted in ("auto", "tf-serving"):
        if program := which(BINARY):
            return "tf-serving", program
        errors.append(f"{BINARY} is not on the PATH")
    if wanted in ("auto", "container"):
        for program in filter(None, map(which, CONTAINERS)):
            if not (error := container_error(program, image)):
                return "container", program
            errors.append(f"{Path(program).name} cannot run {image}: {error}")
            notify(errors[-1])
        errors.append("neither docker nor podman is on the PATH")
    if wanted in ("auto", "builtin"):
        return "builtin", ""
    raise PneumoError(f"engine {wanted}: {errors[0]}; use --engine auto or builtin")


def run_error(program: str, image: str) -> str:
    """Why a container engine cannot run the image, which it pulls if needed; empty if it can."""
    command = [program, "run", "--rm", image, "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return lines[-1][:300] if done.returncode else ""


def command(engine: str, program: str, options: ServerOptions, image: str = IMAGE) -> list[str]:
    """The command line of TensorFlow Serving, as a program or in a container."""
    folder = options.model_dir.resolve()
    if engine == "tf-serving":
        return [
            program,
            f"--port={options.grpc_port}",
            f"--rest_api_port={options.rest_port}",
            f"--model_name={options.name}",
            f"--model_base_path={folder}",
            *_settings(DEPLOY),
        ]
    inside = Path("/deploy")
    return [
        program,
        *("run", "--rm", "--init", "--read-only", "--cap-drop=ALL"),
        f"--publish={options.host}:{options.rest_port}:8501",
        f"--publish={options.host}:{options.grpc_port}:8500",
        f"--volume={folder}:/models/{options.name}:ro",
        f"--volume={DEPLOY}:{inside}:ro",
        f"--env=MODEL_NAME={options.name}",
        image,
        *_settings(inside),
    ]


def _settings(folder: Path) -> list[str]:
    """Flags for the files of serving/deploy, at the path where the server sees them."""
    return [
        "--enable_batching=true",
        f"--batching_parameters_file={folder / 'batching.config'}",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
    ]
