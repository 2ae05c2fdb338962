"""`pneumo monitor`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from components.monitor.options import MonitorOptions
    from components.monitor.watch import Watched


@click.command(
    epilog="Example: pneumo monitor --logged inputs.jsonl --reference pneumo_runs/xception"
)
@click.option("--logged", type=click.Path(path_type=Path), required=True,
              help="Log of `pneumo serve`, or a folder of logs, images or records.")  # fmt: skip
@click.option("--reference", type=click.Path(path_type=Path), required=True,
              help="Work folder of `pneumo run`, or a folder of records.")  # fmt: skip
@click.option("--earlier", type=click.Path(path_type=Path), default=None,
              help="An older log, for drift between two times.")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), default=None,
              help="Asked about images and records. [default: newest of the run]")  # fmt: skip
@click.option("--config", default=None, metavar="NAME|FILE",
              help="Its part `monitor` has the thresholds. [default: of the run]")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="As in monitor.thresholds.score=0.2; may be repeated.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("monitor"),
              show_default=True, help="Folder of the page and its numbers.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def command(
    logged: Path,
    reference: Path,
    earlier: Path | None,
    model: Path | None,
    config: str | None,
    overrides: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Compare what a server saw with what its model learned from.

    Size, intensity, scores and decisions by TFDV's comparators; embeddings by a two-sample test.
    Exit status: 0 as in training, 1 moved, 2 wrong input.
    """
    from pipeline.runners.workspace import quiet

    out.mkdir(parents=True, exist_ok=True)
    with quiet(out / "monitor.log"):
        watched, page = compare(
            logged, reference, earlier, model, _options(reference, config, overrides), out
        )
    if as_json:
        click.echo(json.dumps(watched.to_dict(), indent=1))
    else:
        for line in watched.alarms or ["as in training"]:
            click.echo(f"moved    {line}" if watched.drift else f"inputs   {line}")
        for note in watched.notes:
            click.echo(f"note     {note}")
        click.echo(f"page     {page}")
    sys.exit(1 if watched.drift else 0)


def compare(
    logged: Path,
    reference: Path,
    earlier: Path | None,
    model: Path | None,
    options: "MonitorOptions",
    out: Path,
) -> "tuple[Watched, Path]":
    """Reads both sides, compares them and writes the page; returns it with what was found."""
    from components.monitor.page import write_page
    from components.monitor.reference import read_logged, read_reference
    from components.monitor.watch import watch
    from schema.errors import PneumoError

    for path in (logged, reference, *([earlier] if earlier else [])):
        if not path.exists():
            raise PneumoError(f"{path} does not exist; check the path")
    loaded = _model(model, reference, logged)
    seen = read_logged(logged, loaded, options.most)
    before = read_logged(earlier, loaded, 0) if earlier else None
    width = seen.embedding.shape[1] if len(seen.embedding) else 0
    known = read_reference(reference, loaded, width, options.most)
    watched = watch(seen, known, options, before)
    page, _ = write_page(watched, out)
    return watched, page


def _model(given: Path | None, reference: Path, logged: Path) -> Any:
    """The model to ask; None where a log has the answers already and no other is given."""
    from components.monitor.asked import load
    from components.monitor.reference import run_config
    from components.monitor.seen import log_files

    run = (reference / "run.json").is_file()
    tuned = run and run_config(reference).get("training", {}).get("fine_tune") is not None
    if given is None and (not run or (log_files(logged) and not tuned)):
        return None
    return load(given or reference / "serving")


def _options(reference: Path, config: str | None, overrides: tuple[str, ...]) -> "MonitorOptions":
    from components.monitor.reference import run_config
    from pipeline.config import load_config, monitor_options

    if config is not None:
        return load_config(config, overrides).monitor
    known = run_config(reference) if (reference / "run.json").is_file() else {}
    return monitor_options(known.get("monitor") or {}, overrides)
