"""`pneumo monitor`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from core.reporting.monitor.options import MonitorOptions

_PATH = click.Path(path_type=Path)


@click.command(
    epilog="Example: pneumo monitor --logged inputs.jsonl --reference pneumo_runs/xception"
)
@click.option(
    "--logged", type=_PATH, required=True, help="Log of `pneumo serve`, or a folder of logs."
)
@click.option("--reference", type=_PATH, required=True, help="Work folder of `pneumo run`.")
@click.option(
    "--earlier", type=_PATH, default=None, help="An older log, for drift between two times."
)
@click.option(
    "--config",
    default=None,
    metavar="NAME|FILE",
    help="Configuration with `monitor` thresholds. [default: of the run]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="As in monitor.thresholds.score=0.2; may be repeated.",
)
@click.option(
    "--out",
    type=_PATH,
    default=Path("monitor"),
    show_default=True,
    help="Folder of the page and its numbers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def command(
    logged: Path,
    reference: Path,
    earlier: Path | None,
    config: str | None,
    overrides: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Compare the inputs of a server with the data that its model was trained on.

    Size, intensity, scores and decisions by TFDV's comparators; embeddings by a two-sample test.
    Exit status: 0 no drift, 1 drift, 2 wrong input.
    """
    from core.reporting.monitor.drift_report import check_drift
    from core.reporting.monitor.inputs import read_logs
    from core.reporting.monitor.page import write_monitor_page
    from core.reporting.monitor.reference import read_reference, read_run
    from pipeline.runners.workspace import redirect_output
    from schema.errors import PneumoError

    for path in (logged, reference, *([earlier] if earlier else [])):
        if not path.exists():
            raise PneumoError(f"{path} does not exist; check the path")
    out.mkdir(parents=True, exist_ok=True)
    with redirect_output(out / "monitor.log"):
        run = read_run(reference)
        options = _options(run, config, overrides)
        inputs = read_logs(log_files(logged))
        before = read_logs(log_files(earlier)) if earlier else None
        width = inputs.embedding.shape[1] if len(inputs.embedding) else 0
        baseline = read_reference(reference, run, width, 2 * options.most)
        report = check_drift(inputs, baseline, options, before)
        page, _ = write_monitor_page(report, out)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1))
    else:
        for line in report.alarms or ["no drift"]:
            click.echo(f"{'drift' if report.drift else 'inputs':8s} {line}")
        for note in report.notes:
            click.echo(f"note     {note}")
        click.echo(f"page     {page}")
    sys.exit(1 if report.drift else 0)


def log_files(path: Path) -> list[Path]:
    """Returns the log itself, or the `.jsonl` files of a folder by name.

    Raises:
      PneumoError: there is none, or a file or folder cannot be read.
    """
    from core.ingest.scan import scan
    from schema.errors import PneumoError

    if path.is_file():
        return [path]
    files = []
    for entry in scan(path, ordered=True, suffixes=frozenset({".jsonl"})):
        if entry.kind == "reject":
            raise PneumoError(f"log {path / entry.path} cannot be read: {entry.detail}")
        if entry.kind == "file":
            files.append(path / entry.path)
    if not files:
        raise PneumoError(f"no .jsonl log of `pneumo serve --log-inputs` in {path}")
    return files


def _options(
    run: dict[str, Any], config: str | None, overrides: tuple[str, ...]
) -> "MonitorOptions":
    from core.reporting.monitor.reference import run_config
    from pipeline.config_file import load_config, monitor_options

    if config is not None:
        return load_config(config, overrides).monitor
    return monitor_options(run_config(run).get("monitor") or {}, overrides)
