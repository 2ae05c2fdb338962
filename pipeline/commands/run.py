"""`pneumo run`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli_options import (
    EXIT_LEAK,
    beam_arg_option,
    boxes_option,
    class_map_option,
    config_option,
    data_option,
    manifest_option,
    on_leak_option,
    set_option,
    weights_option,
)

if TYPE_CHECKING:
    from core.ingest.job import IngestSummary
    from pipeline.config import Config


@click.command(
    epilog="Example: pneumo run --config xception --data chest_xray --weights weights/ "
    "--set training.epochs=20"
)
@config_option
@data_option(required=True)
@manifest_option
@class_map_option
@boxes_option
@on_leak_option(None)
@weights_option
@set_option
@click.option(
    "--workdir",
    type=click.Path(path_type=Path),
    default=None,
    help="Work folder of the run. [default: pneumo_runs/NAME]",
)
@click.option(
    "--engine",
    default=None,
    metavar="NAME",
    help="Beam engine: direct (this machine), processes, portable, flink, spark or dataflow; "
    "options with --set beam.KEY=VALUE. [default: from the configuration]",
)
@beam_arg_option
@click.option(
    "--validation-only",
    is_flag=True,
    help="Stop before the test split is evaluated: no test predictions, gate, push or report. The "
    "same command without it continues from the cache.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON at the end.")
def command(
    source: str,
    data: Path,
    manifest: Path | None,
    class_map: dict[str, str],
    boxes: Path | None,
    on_leak: str | None,
    weights: Path | None,
    overrides: tuple[str, ...],
    workdir: Path | None,
    engine: str | None,
    beam_args: tuple[str, ...],
    validation_only: bool,
    as_json: bool,
) -> None:
    """Run the pipeline on a folder of chest X-rays.

    Outputs of finished nodes are reused from the cache. Run the same command again to resume a
    killed run. --manifest, --class-map, --boxes and --on-leak describe a folder of images, as in
    `pneumo ingest`; they replace data.ingest of the configuration, and --class-map adds to it.

    Exit status: 0 done, 1 a node failed, 2 wrong input, 3 stopped because the splits leak.
    """
    from core.ingest.existing import stop_on_leak
    from core.ingest.splits.leakage import LeakageError
    from core.ingest.summary import read_summary
    from pipeline.config_file import load_config
    from pipeline.engines.arguments import parse_engine
    from schema.errors import PneumoError

    extra = [f"model.weights={json.dumps(str(weights))}"] if weights else []
    if engine:
        extra.append(f"engine={parse_engine(engine)}")
    described = {"manifest": manifest, "boxes": boxes, "on_leak": on_leak, "class_map": class_map}
    if (manifest or class_map or boxes) and (data / "dataset.json").is_file():
        raise PneumoError(
            f"--manifest, --class-map and --boxes describe images, but {data} holds records; give "
            "the folder of images with --data"
        )
    config = load_config(
        source,
        [*overrides, *extra],
        ingest={key: value for key, value in described.items() if value},
    )
    try:
        if (data / "dataset.json").is_file():
            stop_on_leak(read_summary(data), data, config.data.ingest)
        status = execute(config, data, workdir, beam_args, as_json, validation_only)
    except LeakageError as error:
        click.echo(f"pneumo: {error}", err=True)
        status = EXIT_LEAK
    sys.exit(status)


def execute(
    config: "Config",
    data: Path,
    workdir: Path | None,
    beam_args: tuple[str, ...] = (),
    as_json: bool = False,
    validation_only: bool = False,
) -> int:
    """Runs a configuration and prints progress and results; returns the exit status."""
    from pipeline.engines.arguments import local_args
    from pipeline.runners.local import NodeFailed
    from pipeline.runners.progress import RunProgress
    from pipeline.runners.workspace import check_data_folder, lock_workspace, redirect_output

    check_data_folder(data)
    with lock_workspace(workdir or Path("pneumo_runs") / config.name) as work:
        try:
            with redirect_output(work.log) as terminal, RunProgress(terminal) as show:
                from pipeline.runners.run import (
                    check_layers,
                    prepare_records,
                    resolve_run_weights,
                    run,
                )

                show.print_line(f"run {config.name}   work folder {work.folder}")
                check_layers(config)
                weights = resolve_run_weights(config, show)
                args = local_args(config.engine, config.beam, beam_args)
                with show.ingest_progress() as count:
                    records, summary = prepare_records(config, data, work, count, args)
                show.print_line(summary_line(summary))
                for warning in [*summary.warnings, *summary.unknown_classes]:
                    show.print_line(f"warning: {warning}")
                result = run(config, work, records, weights, show, args, validation_only)
        except NodeFailed as error:
            click.echo(f"pneumo: {error}   log: {work.log}", err=True)
            return 2 if error.user_error else 1
        for name, label in (("ordinary", "val"), ("shifted", "shifted")):
            if name in result.validation and (validation_only or "shifted" in result.validation):
                click.echo(f"{label:<8} {headline(result.validation[name], ('auc',))}")
        if not validation_only:
            click.echo(f"test     {headline(result.metrics)}")
            click.echo(f"report   {result.report}")
        if validation_only:
            click.echo("test     not evaluated (--validation-only)")
        elif result.pushed:
            click.echo(f"model    {result.pushed}")
        elif result.refused:
            click.echo(
                "model    not pushed: blessed by the gate, but infrastructure validation failed:"
            )
            for reason in result.refused:
                click.echo(f"         {reason}")
        else:
            click.echo(
                "model    not pushed: not blessed by the gate; see the report for the reasons"
            )
        if result.batch:
            click.echo(f"batch    {result.batch_rows} images: {result.batch}")
        if as_json:
            click.echo(result.to_json())
    return 0


def headline(
    metrics: "dict[str, dict[str, float | None]]", names: tuple[str, ...] = ("auc", "accuracy")
) -> str:
    """Returns AUC and accuracy with intervals; for detectors the challenge metric first."""
    shown = []
    named = [(name, {"auc": "AUC"}.get(name, name)) for name in names]
    if "challenge" in metrics:
        named.insert(0, ("challenge", "challenge score"))
    for name, word in named:
        value = metrics.get(name, {})
        if value.get("estimate") is None:
            shown.append(f"{word} not defined")
        elif value.get("low") is None:
            shown.append(f"{word} {value['estimate']:.3f}")
        else:
            low, high = value["low"], value["high"]
            shown.append(f"{word} {value['estimate']:.3f} ({low:.3f} to {high:.3f})")
    return ", ".join(shown) + "   95 % intervals by patient"


def summary_line(summary: "IngestSummary") -> str:
    """Returns one line with the number of records in each split."""
    counts = "  ".join(
        f"{split} {sum(classes.values())}" for split, classes in summary.splits.items()
    )
    return (
        f"records  {summary.written} of {summary.found} files ({summary.rejected} rejected, "
        f"{sum(summary.skipped.values())} skipped): {counts}"
    )
