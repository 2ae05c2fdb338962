"""`pneumo watch`."""

import signal
import sys
import time
from pathlib import Path

import click

from pipeline.cli_options import config_option

_Path = click.Path(path_type=Path)
_Seconds = click.FloatRange(min=0)


@click.command(
    epilog="Example: pneumo watch --once --config xception --data chest_xray --inbox s3://b/new"
)
@config_option
@click.option("--data", type=_Path, required=True, help="Folder of images that runs read.")
@click.option(
    "--inbox", metavar="FOLDER|URI", help="Folder where new images arrive.  [default: DATA]"
)
@click.option("--drift", type=_Path, help="monitor.json; drift in it starts one run.")
@click.option("--workdir", type=_Path, help="Work folder of the runs.  [default: pneumo_runs/NAME]")
@click.option("--min-new", type=int, default=1, help="Number of new images that starts a run.")
@click.option(
    "--min-patients", type=int, default=0, help="Minimum number of patients of the new images."
)
@click.option("--settle", type=_Seconds, default=60, help="Seconds before a changed file counts.")
@click.option("--interval", type=_Seconds, default=300, help="Seconds between two checks.")
@click.option("--once", is_flag=True, help="Check once, run if due, and exit; for cron.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- PROGRAM ...]")
def command(
    source: str,
    data: Path,
    inbox: str | None,
    drift: Path | None,
    workdir: Path | None,
    min_new: int,
    min_patients: int,
    settle: float,
    interval: float,
    once: bool,
    program: tuple[str, ...],
) -> None:
    """Start `pneumo run` when new images arrive or the monitor reports drift.

    New images in the inbox are copied to DATA. PROGRAM replaces `pneumo run`, for example to submit
    a compiled pipeline. The state is stored in WORKDIR/watch.json. A failed run is tried three
    times.

    Exit status with --once: 0 nothing to do or the run succeeded, 1 the run failed, 2 wrong input.
    """
    from pipeline.config_file import load_config
    from pipeline.runners.watch import Watch
    from pipeline.runners.workspace import check_work_folder

    work = workdir or Path("pneumo_runs") / load_config(source).name
    if not program:
        check_work_folder(work)
    run = [sys.executable, "-m", "pipeline.cli", "run", "--config", source, "--data", str(data)]
    run = list(program) or [*run, "--workdir", str(work)]
    watch = Watch(inbox or str(data), data, work, run, drift, min_new, min_patients, settle)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the run too
    while True:
        status = watch.check()
        if once:
            sys.exit(status)
        time.sleep(interval)
