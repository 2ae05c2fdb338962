"""`pneumo compile`."""

import os
from pathlib import Path
from typing import Literal

import click

from pipeline.cli_options import config_option, set_option
from schema.errors import PneumoError
from schema.files import write_atomically


@click.command(
    epilog="Example: pneumo compile --target kubeflow --config xception -o xception.yaml "
    "--image registry/pneumo-tfx:1 --root s3://pneumo/runs --data s3://pneumo/records"
)
@click.option(
    "--target",
    type=click.Choice(["kubeflow", "vertex"]),
    required=True,
    help="Kubeflow Pipelines (YAML), or Vertex AI (JSON).",
)
@config_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write.",
)
@click.option(
    "--data",
    default=None,
    metavar="URI",
    help="Folder of records; if omitted, it must be set at submission.",
)
@click.option("--root", default=None, metavar="URI", help="Root folder of the artifacts.")
@click.option("--image", default=None, help="Container image of every node.")
@click.option(
    "--engine",
    default=None,
    metavar="NAME",
    help="Beam engine: direct (in the container), processes, or a running portable, flink, spark "
    "or dataflow; options with --set beam.KEY=VALUE.",
)
@set_option
def command(
    target: Literal["kubeflow", "vertex"],
    source: str,
    output: Path,
    data: str | None,
    root: str | None,
    image: str | None,
    engine: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Compile the pipeline for a cluster.

    Data, weights, epochs, threshold and the bound of the gate are parameters that `pneumo submit`
    can set. The section `deploy` of the configuration sets resources, retries and caching of the
    nodes. Exit status: 0 done, 2 wrong input.
    """
    from pipeline.config_file import load_config
    from pipeline.engines.arguments import parse_engine
    from pipeline.kubeflow.validate import check, check_deploy, load_with_kfp

    given = {"data": data, "root": root, "image": image}
    extra = [f"deploy.{key}={value}" for key, value in given.items() if value is not None]
    if engine:
        extra.append(f"engine={parse_engine(engine)}")
    config = load_config(source, [*overrides, *extra])
    image, root = check_deploy(config, target)
    if not output.parent.is_dir():
        raise PneumoError(f"-o {output}: folder {output.parent} does not exist; make it first")

    from pipeline.kubeflow.compile import as_text, compile_spec, platform_spec, require_packages
    from pipeline.runners.workspace import redirect_output

    require_packages()
    with redirect_output(Path(os.devnull)):
        compiled = compile_spec(config, target, image=image, root=root)
        spec = compiled if target == "kubeflow" else compiled["pipelineSpec"]
        platform = platform_spec(config, spec) if target == "kubeflow" else None
        text = as_text(compiled, target, platform)
        check(spec)
        if target == "kubeflow":
            load_with_kfp(text)
    try:
        write_atomically(output, text)
    except OSError as error:
        raise PneumoError(f"-o {output} cannot be written ({error.strerror})") from None
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    values = "  ".join(
        f"{name}={of['defaultValue']}" if "defaultValue" in of else f"{name} (must be given)"
        for name, of in sorted(inputs.items())
    )
    click.echo(f"compiled    {output}   {len(spec['root']['dag']['tasks'])} nodes for {target}")
    click.echo(f"parameters  {values}")
    hint = "--host http://ADDRESS" if target == "kubeflow" else "--project PROJECT --region REGION"
    click.echo(f"submit      pneumo submit {output} {hint}")
