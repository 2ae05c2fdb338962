"""`pneumo serve`."""

import os
import sys
from pathlib import Path

import click

from serving.server.engines import IMAGE


@click.command(epilog="Example: pneumo serve --model-dir pneumo_runs/demo/serving --ui")
@click.option("--model-dir", type=click.Path(path_type=Path), required=True,
              help="Folder of numbered versions; it is watched.")  # fmt: skip
@click.option("--name", default="pneumo", show_default=True, help="The model's name in addresses.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--rest-port", default=8501, show_default=True, help="REST; 0 takes a free one.")
@click.option("--grpc-port", default=8500, show_default=True, help="gRPC; 0 takes a free one.")
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(1),
              help="Processes that answer.")  # fmt: skip
@click.option("--ui", is_flag=True, help="Serve the page at /ui/ as well.")
@click.option("--engine", default="auto", show_default=True,
              type=click.Choice(["auto", "tensorflow_model_server", "container", "ray"]),
              help="What serves; auto takes the first that this machine has.")  # fmt: skip
@click.option("--image", default=IMAGE, show_default=True,
              help="Of --engine container; pin it as NAME@sha256:DIGEST.")  # fmt: skip
@click.option("--version-policy", default="latest", show_default=True,
              metavar="latest[:N]|all|specific:N,N", help="Which versions are served.")  # fmt: skip
@click.option("--poll-seconds", default=1.0, show_default=True, type=click.FloatRange(0.1),
              help="Between two looks at the folder.")  # fmt: skip
@click.option("--threads", default=0, show_default=True, type=click.IntRange(0),
              help="Of each replica; 0 shares the cores.")  # fmt: skip
@click.option("--max-batch", default=32, show_default=True, type=click.IntRange(1),
              help="Images computed together.")  # fmt: skip
@click.option("--max-body-mib", default=64, show_default=True, type=click.IntRange(1),
              help="Largest request.")  # fmt: skip
@click.option("--max-images", default=128, show_default=True, type=click.IntRange(1),
              help="Images in one request.")  # fmt: skip
@click.option("--max-requests", default=256, show_default=True, type=click.IntRange(1),
              help="Requests under way; more are told to come again.")  # fmt: skip
@click.option("--deadline", default=120.0, show_default=True, type=click.FloatRange(0.1),
              help="Seconds for an answer.")  # fmt: skip
@click.option("--slow-seconds", default=30.0, show_default=True, type=click.FloatRange(0.1),
              help="Seconds a client may take to send a request.")  # fmt: skip
@click.option("--drain-seconds", default=30.0, show_default=True, type=click.FloatRange(0),
              help="Seconds for requests under way at the end.")  # fmt: skip
@click.option("--log-inputs", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="Append measures of the inputs, for pneumo monitor.")  # fmt: skip
@click.option("--log-sample", default=1.0, show_default=True, type=click.FloatRange(0, 1),
              help="Share of images that are logged.")  # fmt: skip
@click.option("--log-embeddings", default=0.0, show_default=True, type=click.FloatRange(0, 1),
              help="Share of those logged with their embedding.")  # fmt: skip
def command(
    model_dir: Path,
    name: str,
    host: str,
    rest_port: int,
    grpc_port: int,
    replicas: int,
    ui: bool,
    engine: str,
    image: str,
    version_policy: str,
    poll_seconds: float,
    threads: int,
    max_batch: int,
    max_body_mib: int,
    max_images: int,
    max_requests: int,
    deadline: float,
    slow_seconds: float,
    drain_seconds: float,
    log_inputs: Path | None,
    log_sample: float,
    log_embeddings: float,
) -> None:
    """Serve a pushed model over REST and gRPC, by TensorFlow Serving's contract.

    Takes tensorflow_model_server if it is on the PATH, else its container if docker or podman
    answers, else Ray Serve. New versions in the folder are taken up without a failed request; one
    that cannot be served is left out. Listens on this machine alone unless --host says otherwise.
    Research software, not a medical device.
    """
    from serving.server.engines import choose
    from serving.server.engines import command as command_of
    from serving.server.options import MIB, Limits, Options
    from serving.server.versions import Policy

    options = Options(
        model_dir=model_dir,
        name=name,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        replicas=replicas,
        policy=Policy.parse(version_policy),
        poll=poll_seconds,
        max_batch=max_batch,
        threads=threads,
        ui=ui,
        log_inputs=log_inputs,
        log_sample=log_sample,
        log_embeddings=log_embeddings,
        limits=Limits(
            body=max_body_mib * MIB,
            images=max_images,
            requests=max_requests,
            deadline=deadline,
            slow=slow_seconds,
            drain=drain_seconds,
        ),
    )
    chosen, program = choose(engine)
    if chosen != "ray":
        arguments = command_of(chosen, program, options, image)
        click.echo(f"pneumo serve: {note(chosen, options.host, ui)}")
        sys.stdout.flush()
        os.execv(program, arguments)
    from serving.server.run import serve

    sys.exit(serve(options))


def note(engine: str, host: str, ui: bool) -> str:
    """What the user must know before TensorFlow Serving takes over."""
    said = [
        f"hands over to TensorFlow Serving ({engine}). Research software, not a medical device."
    ]
    if engine == "tensorflow_model_server" and host in ("127.0.0.1", "localhost", "::1"):
        said.append("It listens on every address of this machine; --engine ray keeps to --host.")
    if ui:
        said.append("It has no page: --ui needs --engine ray.")
    return " ".join(said)
