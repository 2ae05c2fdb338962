"""`pneumo watch`."""

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.watch.decide import Decision
    from pipeline.watch.watcher import Watcher

WOULD_START = 3


@click.command(
    epilog="Example: pneumo watch --config xception --data chest_xray --inbox incoming "
    "--min-new 200 --logged inputs.jsonl"
)
@click.option("--config", "source", default="inceptionv3", show_default=True, metavar="NAME|FILE",
              help="A shipped configuration or a YAML file.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path), envvar="PNEUMO_DATA", required=True,
              help="Folder of images that runs read. [env: PNEUMO_DATA]")  # fmt: skip
@click.option("--inbox", type=click.Path(path_type=Path), default=None,
              help="Where images land; what has come to rest is copied into DATA. "
              "[default: they land in DATA]")  # fmt: skip
@click.option("--logged", type=click.Path(path_type=Path), default=None,
              help="Log of `pneumo serve`, or a folder of logs: a run starts where they show "
              "drift.")  # fmt: skip
@click.option("--reference", type=click.Path(path_type=Path), default=None,
              help="Run that the log is compared with. [default: the work folder]")  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path), default=None,
              help="As of `pneumo run`. [env: PNEUMO_WEIGHTS]")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a key of the configuration; may be repeated.")  # fmt: skip
@click.option("--workdir", type=click.Path(path_type=Path), default=None,
              help="Work folder of the runs. [default: pneumo_runs/NAME]")  # fmt: skip
@click.option("--interval", type=click.FloatRange(min=0.1), default=60.0, show_default=True,
              help="Seconds between two looks.")  # fmt: skip
@click.option("--settle", type=click.FloatRange(min=0), default=30.0, show_default=True,
              help="Seconds in which a file must not change before it counts.")  # fmt: skip
@click.option("--patience", type=click.FloatRange(min=0), default=3600.0, show_default=True,
              help="Seconds for which files that keep changing are waited for.")  # fmt: skip
@click.option("--min-new", type=click.IntRange(min=1), default=1, show_default=True,
              help="New images that are worth a run.")  # fmt: skip
@click.option("--min-patients", type=click.IntRange(min=0), default=0, show_default=True,
              help="New patients that are.")  # fmt: skip
@click.option("--gap", type=click.FloatRange(min=0), default=0.0, show_default=True,
              help="Seconds between the starts of two runs, at least.")  # fmt: skip
@click.option("--attempts", type=click.IntRange(min=1), default=5, show_default=True,
              help="Runs over the same data and configuration, at most.")  # fmt: skip
@click.option("--backoff", type=click.FloatRange(min=0), default=300.0, show_default=True,
              help="Seconds after a failure; doubled after each further one.")  # fmt: skip
@click.option("--submit", "spec", type=click.Path(path_type=Path), default=None, metavar="SPEC",
              help="Send this file of `pneumo compile` instead of running here.")  # fmt: skip
@click.option("--records", default=None, metavar="URI",
              help="With --submit: ingest DATA here, store the records below URI and send their "
              "place as the parameter data.")  # fmt: skip
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE",
              help="With --submit: as of `pneumo submit`; may be repeated.")  # fmt: skip
@click.option("--once", is_flag=True, help="Look once, act, exit: for cron or a CronJob.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
def command(
    source: str,
    data: Path,
    inbox: Path | None,
    logged: Path | None,
    reference: Path | None,
    weights: Path | None,
    overrides: tuple[str, ...],
    workdir: Path | None,
    interval: float,
    settle: float,
    patience: float,
    min_new: int,
    min_patients: int,
    gap: float,
    attempts: int,
    backoff: float,
    spec: Path | None,
    records: str | None,
    params: tuple[str, ...],
    once: bool,
    dry_run: bool,
) -> None:
    """Start a run when new images land or the monitor reports drift.

    Looks at names, sizes and times, so any mounted file system will do. One run at a time; a run
    that failed is tried again after a pause, one that died at once. What it knows stands in
    WORKDIR/watch: a watch that was killed goes on, and neither repeats nor forgets a run. Each line
    printed is a JSON object.

    Exit status: 0 nothing to do or the run ended well, 1 the run failed or was given up, 2 wrong
    input, 3 a run would start (--dry-run), 130 stopped. Without --once it goes on until stopped.
    """
    from pipeline.config import load_config
    from pipeline.watch.decide import Rules
    from pipeline.watch.remote import submit_command
    from pipeline.watch.watcher import Watched, Watcher, json_line, run_command
    from schema.errors import PneumoError

    if reference is not None and logged is None:
        raise PneumoError("--reference is what a log is compared with; give --logged too")
    if spec is None and (records or params):
        raise PneumoError("--records and --param go with --submit")
    extra = [f"model.weights={weights}"] if weights else []
    config = load_config(source, [*overrides, *extra])
    work = (workdir or Path("pneumo_runs") / config.name).resolve()
    if inbox is not None and not dry_run:
        data.mkdir(parents=True, exist_ok=True)
    more = [word for override in overrides for word in ("--set", override)]
    start = run_command(source, data.resolve(), work, weights, more)
    if spec is not None:
        start = submit_command(spec, source, overrides, data.resolve(), work, records, params)
        reference = reference or work / "records"
    watched = Watched(
        data=data.resolve(),
        work=work,
        command=start,
        config=config.to_yaml(),
        rules=Rules(min_new, min_patients, gap, patience, attempts, backoff),
        settle=settle,
        inbox=inbox.resolve() if inbox else None,
        logged=logged.resolve() if logged else None,
        reference=reference.resolve() if reference else None,
    )

    def say(event: dict[str, Any]) -> None:
        line = json_line(event)
        click.echo(line)
        if not dry_run:
            with watcher.folder.log.open("a") as out:
                out.write(line + "\n")

    watcher = Watcher(watched, say)
    watcher.folder.make()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with watcher.folder.held():
        if once:
            sys.exit(_status(*watcher.once(dry_run), dry_run, watcher.problem))
        _go_on(watcher, interval, dry_run)


def _status(decision: "Decision", status: int | None, dry_run: bool, problem: str) -> int:
    if dry_run and decision.reason is not None:
        return WOULD_START
    if status or decision.given_up:
        return 1
    return 2 if problem else 0


def _go_on(watcher: "Watcher", interval: float, dry_run: bool) -> None:
    """Looks again and again. What a person must mend is said, and looked at again later."""
    from schema.errors import PneumoError

    last = ""
    while True:
        try:
            watcher.act(*watcher.look(dry_run), dry=dry_run)
            last = ""
        except PneumoError as error:
            if str(error) != last:
                watcher.say("problem", line=str(error))
            last = str(error)
        time.sleep(interval)
