"""`pneumo serve`."""

import os
from pathlib import Path
from typing import Any

import click

from serving.server.engines import ENGINES, IMAGE

POSITIVE = click.IntRange(1)
SECONDS = click.FloatRange(0.1)
SHARE = click.FloatRange(0, 1)
FOLDER = click.Path(path_type=Path)


class EngineChoice(click.Choice):
    """Engine names; old names are accepted with a warning."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Replaces old names."""
        renamed = {"ray": "builtin", "tensorflow_model_server": "tf-serving"}
        if value in renamed:
            click.echo(f"pneumo serve: --engine {value} is now {renamed[value]}", err=True)
        return super().convert(renamed.get(value, value), param, ctx)


def option(name: str, default: Any, kind: Any, text: str, **options: Any) -> Any:
    """Returns a click option that shows its default."""
    return click.option(name, default=default, show_default=True, type=kind, help=text, **options)


@click.command(epilog="Example: pneumo serve --model-dir pneumo_runs/demo/serving --ui")
@click.option(
    "--model-dir", type=FOLDER, required=True, help="Folder of versions; watched for changes."
)
@option("--name", "pneumo", str, "Model name.")
@option("--host", "127.0.0.1", str, "Address to listen on.")
@option("--rest-port", 8501, int, "REST port; 0: any free port.")
@option("--grpc-port", 8500, int, "gRPC port; 0: any free port.")
@click.option("--ui", is_flag=True, help="Also serve the web page at /ui/.")
@option("--engine", "auto", EngineChoice(ENGINES), "Server to start.")
@option("--image", IMAGE, str, "Image for --engine container; pin it as NAME@sha256:DIGEST.")
@option(
    "--version-policy", "latest", str, "Versions to serve.", metavar="latest[:N]|all|specific:N,N"
)
@option("--poll-seconds", 1.0, SECONDS, "Interval between checks of the folder.")
@option("--threads", 0, click.IntRange(0), "Threads per TensorFlow operation; 0: all cores.")
@option("--max-batch", 32, POSITIVE, "Maximum images per batch.")
@option("--max-body-mib", 64, POSITIVE, "Maximum size of a request.")
@option("--max-images", 128, POSITIVE, "Maximum images per request.")
@option("--max-requests", 256, POSITIVE, "Maximum concurrent requests; further ones must retry.")
@option("--deadline", 120.0, SECONDS, "Seconds until a request times out.")
@option("--slow-seconds", 30.0, SECONDS, "Seconds for a client to send a request.")
@option("--drain-seconds", 30.0, click.FloatRange(0), "Seconds for active requests at shutdown.")
@option(
    "--log-inputs",
    None,
    FOLDER,
    "Append input statistics for pneumo monitor to FILE.",
    metavar="FILE",
)
@option("--log-sample", 1.0, SHARE, "Fraction of images to log.")
@option("--log-embeddings", 0.0, SHARE, "Fraction of logged images with an embedding.")
def command(engine: str, image: str, version_policy: str, **settings: Any) -> None:
    """Serve a pushed model with TensorFlow Serving's REST and gRPC APIs.

    Uses tensorflow_model_server if it is on the PATH, else its container if docker or podman can
    run it, else the built-in server (for laptops, demos and tests). New versions in the folder are
    loaded without downtime; broken ones are skipped. Only reachable from this machine unless
    --host is set. Research software, not a medical device.
    """
    from serving.server import engines
    from serving.server.options import ServerOptions
    from serving.server.versions import VersionPolicy

    def notify(line: str) -> None:
        click.echo(f"pneumo serve: {line}; using another server", err=True)

    options = ServerOptions(policy=VersionPolicy.parse(version_policy), **settings)
    chosen, program = engines.choose(engine, image, notify=notify)
    if chosen != "builtin":
        print(f"pneumo serve: {note(chosen, options.host, options.ui)}", flush=True)
        os.execv(program, engines.command(chosen, program, options, image))
    from serving.server.run import serve

    serve(options)


def note(engine: str, host: str, ui: bool) -> str:
    """Returns the message before TensorFlow Serving is started."""
    lines = [f"starting TensorFlow Serving ({engine}). Research software, not a medical device."]
    if engine == "tf-serving" and host in ("127.0.0.1", "localhost", "::1"):
        lines.append("It listens on all addresses; only --engine builtin respects --host.")
    if ui:
        lines.append("It has no web page: --ui needs --engine builtin.")
    return " ".join(lines)
