"""`pneumo compare`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli_options import (
    boxes_option,
    class_map_option,
    data_option,
    manifest_option,
    on_leak_option,
    set_option,
    weights_option,
)

if TYPE_CHECKING:
    from pipeline.config import Config


@click.command(
    epilog="Example: pneumo compare inceptionv3 vgg16 xception --data chest_xray "
    "--work pneumo_runs/compare"
)
@click.argument("sources", nargs=-1, metavar="CONFIG...")
@data_option(required=False)
@manifest_option
@class_map_option
@boxes_option
@on_leak_option(None)
@click.option(
    "--work",
    "--workdir",
    "work",
    type=click.Path(path_type=Path),
    default=Path("pneumo_runs/compare"),
    show_default=True,
    help="Shared work folder.",
)
@weights_option
@set_option
@click.option(
    "--resamples",
    default=2000,
    show_default=True,
    type=click.IntRange(100),
    help="Bootstrap resamples.",
)
@click.option(
    "--validation-only",
    is_flag=True,
    help="Compare on validation, ordinary and shifted; the test split is not evaluated.",
)
@click.option("--only-page", is_flag=True, help="Run nothing; write the page from finished runs.")
def command(
    sources: tuple[str, ...],
    data: Path | None,
    manifest: Path | None,
    class_map: dict[str, str],
    boxes: Path | None,
    on_leak: str | None,
    work: Path,
    weights: Path | None,
    overrides: tuple[str, ...],
    resamples: int,
    validation_only: bool,
    only_page: bool,
) -> None:
    """Run several configurations on the same data and compare them on one page.

    CONFIG is a YAML file or the name of a shipped configuration. All share one work folder, so that
    common steps are computed once. If one fails, the others still run. With --only-page and no
    CONFIG, all finished runs of the work folder are compared. With --validation-only the test split
    stays unseen until a configuration is chosen; rows are ranked by shifted validation, if
    evaluation.shifted_validation is set.
    Exit status: 0 all finished, 1 some failed, 2 wrong input.
    """
    from core.reporting.compare.page import write_comparison
    from core.reporting.compare.runs import read_runs
    from pipeline.compare import launch
    from pipeline.runners.workspace import check_data_folder, check_work_folder
    from schema.errors import PneumoError

    described = {"manifest": manifest, "boxes": boxes, "on_leak": on_leak}
    named = names(sources, overrides)
    if not only_page:
        if not named:
            raise PneumoError("name the configurations to compare, or give --only-page")
        if data is None:
            raise PneumoError("give the folder of images with --data or PNEUMO_DATA")
        check_data_folder(data)
        check_work_folder(work)
        for number, (name, source) in enumerate(named.items(), 1):
            click.echo(f"--- {number}/{len(named)} {name}")
            child = launch(
                name,
                source,
                data,
                work,
                overrides,
                weights,
                validation_only,
                run_options(described, class_map),
            )
            if child.status:
                click.echo(f"pneumo: {name} failed: {child.error}; running the others", err=True)
            else:
                click.echo(f"--- {name}: {child.seconds:.0f} s, peak {child.peak_rss_mib:,.0f} MiB")
    runs, failed = read_runs(work, list(named))
    page, facts = write_comparison(runs, failed, work, resamples)
    click.echo(f"page     {page}")
    click.echo(f"numbers  {facts}")
    for one in failed:
        click.echo(f"pneumo: {one['name']} is not on the page: {one['error']}", err=True)
    sys.exit(1 if failed else 0)


def run_options(described: Mapping[str, object], class_map: Mapping[str, str]) -> list[str]:
    """Returns the options of `pneumo run` that describe a folder of images.

    Args:
      described: name of an option in Python -> value; None if it was not given.
      class_map: folder or label -> pathogen.
    """
    given = {name.replace("_", "-"): value for name, value in described.items() if value}
    pairs = [f"{name}={pathogen}" for name, pathogen in class_map.items()]
    return [
        *(part for name, value in given.items() for part in (f"--{name}", str(value))),
        *(part for pair in pairs for part in ("--class-map", pair)),
    ]


def names(sources: Sequence[str], overrides: Sequence[str]) -> dict[str, str]:
    """Returns name -> source of each configuration; all are checked before any runs.

    Raises:
      PneumoError: one is invalid, two have the same name, or their splits differ.
    """
    from pipeline.config_file import load_config
    from schema.errors import PneumoError

    found: dict[str, str] = {}
    first: Config | None = None
    for source in sources:
        config = load_config(source, overrides)
        if config.name in found:
            raise PneumoError(
                f"{found[config.name]} and {source} are both named {config.name!r}: rename one"
            )
        first = first or config
        if config.data.ingest != first.data.ingest:
            raise PneumoError(
                f"{config.name} and {first.name} split the data differently (data.ingest): only "
                "configurations with the same test images can be compared"
            )
        found[config.name] = source
    return found
