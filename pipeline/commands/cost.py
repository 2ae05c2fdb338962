"""`pneumo cost`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.scale.estimate import Estimate
    from pipeline.scale.model import CostModel
    from pipeline.scale.prices import Prices
    from pipeline.scale.workload import Workload


@click.command(epilog="Example: pneumo cost --images 1000000 --megapixels 1.5 --config xception")
@click.option("--images", type=int, required=True, help="How many images the source has.")
@click.option("--megapixels", type=float, default=1.0, show_default=True,
              help="Of one image, as it is stored.")  # fmt: skip
@click.option("--kib", type=float, default=None, show_default="as a JPEG of these megapixels",
              help="Of one file.")  # fmt: skip
@click.option("--config", "source", default="inceptionv3", show_default=True, metavar="NAME|FILE",
              help="A shipped configuration or a YAML file.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a key of the configuration; may be repeated.")  # fmt: skip
@click.option("--prices", type=click.Path(path_type=Path), default=None,
              help="YAML table: cpu_hour, gb_month, gpu_hour, ...; docs/scale.md.")  # fmt: skip
@click.option("--memory-gib", type=click.FloatRange(min=0, min_open=True), default=16.0,
              show_default=True, help="Of a machine: which step runs out of it first.")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), default=None,
              help="Cost model that you measured yourself. [default: the shipped one]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    images: int,
    megapixels: float,
    kib: float | None,
    source: str,
    overrides: tuple[str, ...],
    prices: Path | None,
    memory_gib: float,
    model: Path | None,
    as_json: bool,
) -> None:
    """Say what a run of so many images costs: hours, memory, bytes, money, the first bottleneck.

    The model is fitted to measurements on one machine; docs/scale.md says which, and how far it was
    off at the largest sizes. Exit status: 0, or 2 for wrong input.
    """
    from pipeline.config import load_config
    from pipeline.scale.estimate import estimate
    from pipeline.scale.model import read_model, shipped_model
    from pipeline.scale.prices import read_prices
    from pipeline.scale.workload import workload

    known = read_model(model) if model else shipped_model()
    table = read_prices(prices)
    work = workload(load_config(source, overrides), known, images, megapixels, kib)
    found = estimate(known, work, table, memory_gib)
    if as_json:
        told = {
            "images": images,
            "megapixels": megapixels,
            "kib": work.kib,
            **found.to_dict(),
            "prices": table.model_dump(),
            "notes": list(work.notes),
            "measured": known.measured,
        }
        click.echo(json.dumps(told, indent=1))
    else:
        _show(found, work, table, known)


def _show(found: "Estimate", work: "Workload", prices: "Prices", known: "CostModel") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{work.images:,} images of {work.megapixels:g} megapixels, {work.kib:,.0f} KiB a file",
        soft_wrap=True,
    )
    right: dict[str, Any] = {"justify": "right", "no_wrap": True}
    table = Table("step")
    gpu = prices.gpu_gmac_per_second is not None
    heads = ["images", "CPU h", *(["GPU h"] if gpu else []), "memory", "stored", "read"]
    for name in (*heads, prices.currency):
        table.add_column(name, **right)
    for step in found.steps:
        table.add_row(
            step.step + ("  *" if step.beyond > 1 else ""),
            f"{step.images:,.0f}",
            f"{step.cpu_hours:,.2f}",
            *([f"{step.gpu_hours:,.2f}"] if gpu else []),
            size(step.memory_mib * 2**20) if step.memory_mib else "",
            size(step.stored_bytes) if step.stored_bytes else "",
            size(step.read_bytes) if step.read_bytes else "",
            f"{step.money:,.2f}",
        )
    table.add_section()
    table.add_row(
        "all",
        "",
        f"{found.total('cpu_hours'):,.2f}",
        *([f"{found.total('gpu_hours'):,.2f}"] if gpu else []),
        "",
        size(found.total("stored_bytes")),
        size(found.total("read_bytes")),
        f"{found.total('money'):,.2f}",
    )
    console.print(table)
    slow, part = found.slowest
    lines = [f"time     {slow} takes {part:.0%} of the hours; turn: {found.turn[slow]}"]
    if found.fullest is None:
        lines.append(f"memory   no step needs more than {found.memory_gib:g} GiB at any size")
    else:
        full, images = found.fullest
        lines.append(
            f"memory   {full} needs more than {found.memory_gib:g} GiB from {images:,.0f} images "
            f"on; turn: {found.turn[full]}"
        )
    lines += [f"note     {note}" for note in work.notes]
    if any(step.beyond > 1 for step in found.steps):
        lines.append("note     * beyond the largest measurement of that step")
    lines.append(f"prices   {prices.source}")
    where = ", ".join(f"{name} {value}" for name, value in known.measured.items())
    lines.append(f"measured {where}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def size(count: float) -> str:
    """Bytes with a unit, as in 3.2 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:,.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} PB"
