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
    """An engine; names of earlier versions are accepted with a warning."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Replaces an old name."""
        renamed = {"ray": "builtin", "tensorflow_model_server": "tf-serving"}
        if value in renamed:
            click.echo(f"pneumo serve: --engine {value} is now {renamed[value]}", err=True)
        return super().convert(renamed.get(value, value), param, ctx)


def option(name: str, default: Any, kind: Any, text: str, **more: Any) -> Any:
    """An option that shows its default."""
    return click.option(name, default=default, show_default=True, type=kind, help=text, **more)


@click.command(epilog="Example: pneumo serve --model-dir pneumo_runs/demo/serving --ui")
@click.option("--model-dir", type=FOLDER, required=True, help="Folder of versions; it is watched.")
@option("--name", "pneumo", str, "Model name in addresses.")
@option("--host", "127.0.0.1", str, "Address to listen on.")
@option("--rest-port", 8501, int, "REST; 0 takes a free one.")
@option("--grpc-port", 8500, int, "gRPC; 0 takes a free one.")
@click.option("--ui", is_flag=True, help="Serve the page at /ui/ as well.")
@option("--engine", "auto", EngineChoice(ENGINES), "The server.")
@option("--image", IMAGE, str, "Of --engine container; pin it as NAME@sha256:DIGEST.")
@option(
    "--version-policy", "latest", str, "Versions served.", metavar="latest[:N]|all|specific:N,N"
)
@option("--poll-seconds", 1.0, SECONDS, "Between two looks at the folder.")
@option("--threads", 0, click.IntRange(0), "Of one TensorFlow operation; 0: all cores.")
@option("--max-batch", 32, POSITIVE, "Images computed together.")
@option("--max-body-mib", 64, POSITIVE, "Largest request.")
@option("--max-images", 128, POSITIVE, "Images in one request.")
@option("--max-requests", 256, POSITIVE, "Requests under way; further ones must retry.")
@option("--deadline", 120.0, SECONDS, "Seconds for an answer.")
@option("--slow-seconds", 30.0, SECONDS, "Seconds a client may take to send a request.")
@option("--drain-seconds", 30.0, click.FloatRange(0), "Seconds for requests under way at the end.")
@option(
    "--log-inputs",
    None,
    FOLDER,
    "Append measurements of inputs, for pneumo monitor.",
    metavar="FILE",
)
@option("--log-sample", 1.0, SHARE, "Share of images that are logged.")
@option("--log-embeddings", 0.0, SHARE, "Share of those logged with their embedding.")
def command(engine: str, image: str, version_policy: str, **settings: Any) -> None:
    """Serve a pushed model over REST and gRPC, by TensorFlow Serving's contract.

    The engine is tensorflow_model_server if it is on the PATH, else its container if docker or
    podman can run it, else the built-in server, for a laptop, a demo or a test. New versions in the
    folder are loaded without a failed request; one that cannot be served is left out. Listens on
    this machine alone unless --host says otherwise. Research software, not a medical device.
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
    """What the user must know before TensorFlow Serving takes over."""
    lines = [f"starts TensorFlow Serving ({engine}). Research software, not a medical device."]
    if engine == "tf-serving" and host in ("127.0.0.1", "localhost", "::1"):
        lines.append("It listens on every address; --engine builtin keeps to --host.")
    if ui:
        lines.append("It has no page: --ui needs --engine builtin.")
    return " ".join(lines)
