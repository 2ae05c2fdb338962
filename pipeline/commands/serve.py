"""`pneumo serve`."""

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from schema.errors import PneumoError
from schema.files import has_pattern
from serving import NOTICE
from serving.server.engines import ENGINES, IMAGE
from serving.server.options import ServerOptions

POSITIVE = click.IntRange(1)
SECONDS = click.FloatRange(0.1)
SHARE = click.FloatRange(0, 1)
FOLDER = click.Path(path_type=Path)
# Parameters that apply to every engine; the others are of the built-in server.
_ANY_ENGINE = {"model_dir", "name", "host", "rest_port", "grpc_port", "engine", "image"}


class EngineChoice(click.Choice):
    """Engine names; old names are accepted with a warning."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Replaces old names."""
        renamed = {"ray": "builtin", "tensorflow_model_server": "tf-serving"}
        if value in renamed:
            click.echo(f"pneumo serve: --engine {value} is now {renamed[value]}", err=True)
        return super().convert(renamed.get(value, value), param, ctx)


def option(name: str, kind: Any, text: str, **more: Any) -> Any:
    """Returns a click option with the default of ServerOptions, which the help shows."""
    default = getattr(ServerOptions, name.removeprefix("--").replace("-", "_"))
    return click.option(name, default=default, show_default=True, type=kind, help=text, **more)


@click.command(epilog="Example: pneumo serve --model-dir pneumo_runs/demo/serving --ui")
@click.option(
    "--model-dir", type=FOLDER, required=True, help="Folder of versions; watched for changes."
)
@option("--name", str, "Model name.")
@option("--host", str, "Address to listen on.")
@option("--rest-port", int, "REST port; 0: any free port.")
@option("--grpc-port", int, "gRPC port; 0: any free port.")
@click.option("--ui", is_flag=True, help="Also serve the web page at /ui/.")
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    type=EngineChoice(ENGINES),
    help="Server to start.",
)
@click.option(
    "--image",
    default=IMAGE,
    show_default=True,
    help="Image for --engine container; pin it as NAME@sha256:DIGEST.",
)
@click.option(
    "--version-policy",
    default="latest",
    show_default=True,
    help="Versions to serve.",
    metavar="latest[:N]|all|specific:N,N",
)
@option("--poll-seconds", SECONDS, "Interval between checks of the folder.")
@option("--threads", click.IntRange(0), "Threads per TensorFlow operation; 0: all cores.")
@option("--max-batch", POSITIVE, "Maximum images per batch.")
@option("--max-body-mib", POSITIVE, "Maximum size of a request.")
@option("--max-images", POSITIVE, "Maximum images per request.")
@option("--max-requests", POSITIVE, "Maximum concurrent requests; further ones must retry.")
@option("--deadline", SECONDS, "Seconds until a request times out.")
@option("--slow-seconds", SECONDS, "Seconds for a client to send a request.")
@option("--drain-seconds", click.FloatRange(0), "Seconds for active requests at shutdown.")
@option(
    "--log-inputs", FOLDER, "Append input statistics for pneumo monitor to FILE.", metavar="FILE"
)
@option("--log-sample", SHARE, "Fraction of images to log.")
@option("--log-embeddings", SHARE, "Fraction of logged images with an embedding.")
@click.pass_context
def command(
    context: click.Context, engine: str, image: str, version_policy: str, **settings: Any
) -> None:
    """Serve a pushed model with TensorFlow Serving's REST and gRPC APIs.

    Uses tensorflow_model_server if it is on the PATH, else its container if docker or podman can
    run it, else the built-in server (for laptops, demos and tests), which is always used with an
    option that only it has: --ui, --log-inputs, --version-policy, or a limit. New versions in the
    folder are loaded without downtime; broken ones are skipped. Only reachable from this machine
    unless --host is set. Research software, not a medical device.
    """
    from serving.server import engines
    from serving.server.versions import VersionPolicy

    def notify(line: str) -> None:
        click.echo(f"pneumo serve: {line}; using another server", err=True)

    options = ServerOptions(policy=VersionPolicy.parse(version_policy), **settings)
    if not options.model_dir.is_dir():
        raise PneumoError(
            f"--model-dir {options.model_dir} is not a folder; give the folder that `pneumo run` "
            "printed as model"
        )
    engine, image = engine_for(engine, context), engines.full_name(image)
    if has_pattern(options.model_dir.absolute()):
        if engine == "tf-serving":
            raise PneumoError(
                f"--model-dir {options.model_dir} contains one of * ? [ \\, which TensorFlow "
                "Serving reads as a file pattern; rename it or use --engine builtin"
            )
        engine = "builtin" if engine == "auto" else engine
    chosen, program = engines.choose(engine, image, notify=notify)
    if chosen != "builtin":
        print(f"pneumo serve: {note(chosen, options.host)}", flush=True)
        os.execv(program, engines.command(chosen, program, options, image))
    from serving.server.run import serve

    serve(options)


def engine_for(engine: str, context: click.Context) -> str:
    """Returns the engine to choose, given the options of the command line.

    Raises:
      PneumoError: an option that only the built-in server has, with another engine.
    """
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is ParameterSource.DEFAULT or name in _ANY_ENGINE:
            continue
        if engine not in ("auto", "builtin"):
            raise PneumoError(
                f"{parameter.opts[0]} needs the built-in server; use --engine builtin instead of "
                f"{engine}"
            )
        engine = "builtin"
    return engine


def note(engine: str, host: str) -> str:
    """Returns the message before TensorFlow Serving is started."""
    lines = [f"starting TensorFlow Serving ({engine}). {NOTICE}"]
    if engine == "tf-serving" and host in ("127.0.0.1", "localhost", "::1"):
        lines.append("It listens on all addresses; only --engine builtin respects --host.")
    return " ".join(lines)
