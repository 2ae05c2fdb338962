"""`pneumo submit`."""

import os
import sys
from pathlib import Path
from typing import Literal

import click


@click.command(
    epilog="Example: pneumo submit xception.yaml --host http://localhost:8888 "
    "--param data=s3://pneumo/records --param epochs=20 --wait"
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=click.Choice(["kubeflow", "vertex"]),
    default=None,
    help="Platform that the file must be compiled for. [default: any]",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of a parameter of the file; may be repeated.",
)
@click.option(
    "--config",
    "source",
    default=None,
    metavar="NAME|FILE",
    help="Configuration whose section deploy sets host, project, region, ...",
)
@click.option(
    "--host",
    envvar="KF_PIPELINES_ENDPOINT",
    default=None,
    help="Kubeflow: address of the API. [env: KF_PIPELINES_ENDPOINT]",
)
@click.option("--namespace", default=None, help="Kubeflow: namespace, in multi-user installations.")
@click.option(
    "--project",
    envvar="GOOGLE_CLOUD_PROJECT",
    default=None,
    help="Vertex AI: project. [env: GOOGLE_CLOUD_PROJECT]",
)
@click.option(
    "--region",
    envvar="GOOGLE_CLOUD_REGION",
    default=None,
    help="Vertex AI: region. [env: GOOGLE_CLOUD_REGION]",
)
@click.option(
    "--api-endpoint",
    default=None,
    metavar="HOST:PORT",
    help="Vertex AI: address of a private API endpoint.",
)
@click.option("--service-account", default=None, help="Service account of the nodes.")
@click.option(
    "--experiment", default=None, help="Group of runs; on Vertex AI the label pneumo-experiment."
)
@click.option("--dry-run", is_flag=True, help="Print the submission as JSON and exit.")
@click.option("--wait", is_flag=True, help="Wait until the run ends; exit status 1 if it fails.")
def command(
    file: Path,
    target: Literal["kubeflow", "vertex"] | None,
    params: tuple[str, ...],
    source: str | None,
    host: str | None,
    namespace: str | None,
    project: str | None,
    region: str | None,
    api_endpoint: str | None,
    service_account: str | None,
    experiment: str | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Submit a compiled pipeline to Kubeflow Pipelines or Vertex AI.

    FILE is the output of `pneumo compile`. For Kubeflow, PNEUMO_KFP_TOKEN may contain a bearer
    token; for Vertex AI, the application default credentials of Google Cloud are used. Exit status:
    0 submitted (with --wait: succeeded), 1 the run failed, 2 wrong input or rejected.
    """
    from pipeline.kubeflow.compile import require_packages
    from pipeline.kubeflow.compiled_pipeline import parameter_values, read, summary
    from pipeline.kubeflow.options import DeployOptions
    from pipeline.runners.workspace import redirect_output

    deploy = DeployOptions()
    if source is not None:
        from pipeline.config_file import load_config

        deploy = load_config(source).deploy
    given = {
        "host": host,
        "namespace": namespace,
        "project": project,
        "region": region,
        "api_endpoint": api_endpoint,
        "service_account": service_account,
        "experiment": experiment,
    }
    deploy = deploy.model_copy(update={key: value for key, value in given.items() if value})
    require_packages()
    compiled = read(file, target)
    values = parameter_values(compiled.inputs, params)
    if dry_run:
        click.echo(summary(compiled, deploy, values))
        return
    if compiled.target == "kubeflow":
        from pipeline.kubeflow.kubeflow_client import submit
    else:
        from pipeline.kubeflow.vertex_client import submit
    with redirect_output(Path(os.devnull)):
        run = submit(compiled, deploy, values)
    click.echo(f"sent     {compiled.name} to {compiled.target} as {run.id}")
    click.echo(f"page     {run.page}")
    if not wait:
        return
    with redirect_output(Path(os.devnull)):
        state = run.wait()
    click.echo(f"ended    {state}")
    sys.exit(0 if state == "SUCCEEDED" else 1)
