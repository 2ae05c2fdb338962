"""`pneumo demo`."""

import sys
from pathlib import Path

import click

from pipeline.cli_options import set_option


@click.command(epilog="Example: pneumo demo --n 400 --workdir pneumo_runs/demo")
@click.option("--n", default=400, show_default=True, help="Number of synthetic radiographs.")
@click.option("--seed", default=0, show_default=True, help="Seed of the radiographs.")
@click.option("--config", "source", default="demo", show_default=True, metavar="NAME|FILE")
@set_option
@click.option(
    "--workdir",
    type=click.Path(path_type=Path),
    default=Path("pneumo_runs/demo"),
    show_default=True,
    help="Folder for all outputs.",
)
@click.pass_context
def command(
    ctx: click.Context, n: int, seed: int, source: str, overrides: tuple[str, ...], workdir: Path
) -> None:
    """Run the whole pipeline on synthetic radiographs: data, training, report, prediction.

    All outputs are marked as synthetic. Use it to check that the pipeline works on this machine;
    the results say nothing about real radiographs.
    """
    from pipeline.commands.data import phantom
    from pipeline.commands.run import execute
    from pipeline.config_file import load_config
    from pipeline.runners.workspace import check_work_folder
    from schema.model_folder import newest_version
    from serving.predict.local_model import load_model, predict_files
    from serving.predict.printing import print_table

    check_work_folder(workdir)
    config = load_config(source, overrides)
    data = workdir / f"phantoms-n{n}-seed{seed}"
    # Severe findings, because a backbone with random weights does not see faint ones.
    ctx.invoke(phantom.command, dest=data, n=n, seed=seed, min_severity=1.0)
    status = execute(config, data, workdir)
    if status:
        sys.exit(status)
    served = newest_version(workdir / "serving")
    if served is None:
        sys.exit(0)
    images = [
        next(iter(sorted((data / "chest_xray" / "test" / folder).glob("*.jpeg"))))
        for folder in ("NORMAL", "PNEUMONIA")
    ]
    print_table(predict_files(load_model(served), images))
