"""Measures every step at several sizes, fits the cost model, draws it.

    python -m benchmarks.scale --largest 100000 --out pneumo_runs/scale
    python -m benchmarks.scale --fit pneumo_runs/scale/rows.jsonl --model pipeline/scale/model.json --docs docs

Sizes grow tenfold from 1,000. The plan of ingest, ImportExampleGen and StatisticsGen go up to
`--largest`, the steps that cost more up to a tenth of it. What a megapixel costs is measured on
phantoms of 1,024 and 224 pixels, what a trunk costs on InceptionV3. CPU seconds, so that other work
on the machine counts little.
"""  # noqa: E501

import argparse
import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import scale_ingest, scale_nodes, scale_pictures, scale_stubs
from benchmarks.scale_child import forked
from pipeline.scale.fit import fit_model, without_held
from pipeline.scale.model import CostModel, Row

PICTURES: Final = 300
# Part of the images that each node handles, in the splits of the stubs.
PART: Final = {
    "ImportExampleGen": 1.0, "StatisticsGen": 1.0, "Transform": 0.85, "Embedder": 0.85,
    "Trainer": 0.7, "Evaluator": 0.15, "Scorer": 0.15,
}  # fmt: skip
INCEPTION: Final = {"trunk": "InceptionV3", "weights": "random", "image_size": 160}


def bench() -> dict[str, Any]:
    """A small round: sizes up to 10,000, and how far the model is off."""
    folder = Path("pneumo_runs/scale")
    rows = list(measure(folder, 10_000))
    model = fit(rows)
    return {
        "spread": model.spread,
        "checks": {f"{c.step} {c.quantity}": c.ratio for c in model.checks},
    }


def measure(folder: Path, largest: int) -> Iterator[Row]:
    """Measures and yields rows; each is appended to `rows.jsonl` at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rows.jsonl").open("a") as out:
        for row in _all(folder / "scratch", largest):
            out.write(row.model_dump_json() + "\n")
            out.flush()
            yield row


def _all(scratch: Path, largest: int) -> Iterator[Row]:
    sizes = [n for n in (1_000, 10_000, 100_000, 1_000_000, 10_000_000) if n <= largest]
    # Ingest first: its children must not begin with what the nodes import.
    import components.ingest.beam  # noqa: F401

    for n in sizes:
        # The largest measurement of each step is kept from the first fit.
        yield from ingest_rows(scratch, n, n == sizes[-1], n * 10 <= largest, n * 10 == sizes[-1])
    for width in (224, 1024):
        yield from picture_files(scratch, width)
    scale_nodes.warm()
    for n in sizes:
        held = scale_nodes.DATA if n == sizes[-1] else ()
        held = scale_nodes.TRAINING[2:] if n * 10 == sizes[-1] else held
        few = n * 10 <= largest
        yield from node_rows(scratch, n, held, scale_nodes.NODES if few else scale_nodes.DATA)
    yield from node_rows(scratch, 3_000, (), scale_nodes.DATA, side=256)
    for width in (224, 1024):
        yield from picture_rows(scratch, width, scale_nodes.SETTINGS, SMALL)
    given = {**scale_nodes.SETTINGS, "model": INCEPTION}
    yield from picture_rows(scratch, 224, given, MIDDLE)
    # A second number of images tells what InceptionV3 costs once from what an image costs.
    shutil.rmtree(scratch, ignore_errors=True)
    scale_stubs.write_records(scratch / "records", 1_200)
    for found in scale_nodes.measure(
        scratch / "records", scratch / "work", scale_nodes.TRAINING, given
    ):
        yield from of_node(found, 1_200, False, **STUB, **MIDDLE)


def ingest_rows(scratch: Path, n: int, held: bool, whole: bool, held_whole: bool) -> Iterator[Row]:
    """Ingest of stub files, and its plan over a made-up catalog."""
    shutil.rmtree(scratch, ignore_errors=True)
    if whole:
        scale_stubs.write_files(scratch / "files", n)
        found = forked(lambda: scale_ingest.whole(scratch / "files", scratch / "w"), scratch / "s")
        yield from of_ingest(found, held_whole, **STUB)
        shutil.rmtree(scratch)
    found = forked(lambda: scale_ingest.plan(n, scratch / "none", scratch / "w"), scratch / "s")
    yield of_plan(found, held)


def node_rows(
    scratch: Path,
    n: int,
    held: tuple[str, ...],
    nodes: tuple[str, ...],
    side: int = scale_stubs.SIDE,
) -> Iterator[Row]:
    """Nodes over stub records."""
    shutil.rmtree(scratch, ignore_errors=True)
    scale_stubs.write_records(scratch / "records", n, side)
    for found in scale_nodes.measure(scratch / "records", scratch / "work", nodes):
        yield from of_node(found, n, found["node"] in held, **stub(side), **SMALL)


def picture_files(scratch: Path, width: int) -> Iterator[Row]:
    """Ingest of phantoms."""
    seen = _phantoms(scratch, width)
    found = forked(lambda: scale_ingest.whole(scratch / "files", scratch / "w"), scratch / "s")
    yield from of_ingest(found, False, **seen)


def picture_rows(
    scratch: Path, width: int, settings: dict[str, Any], model: dict[str, float]
) -> Iterator[Row]:
    """Nodes over phantoms."""
    seen = _phantoms(scratch, width)
    scale_pictures.write_records(scratch / "records", PICTURES, width)
    for found in scale_nodes.measure(scratch / "records", scratch / "work", settings=settings):
        yield from of_node(found, PICTURES, False, **seen, **model)


def _phantoms(scratch: Path, width: int) -> dict[str, float]:
    """Writes phantoms as files; their mean size."""
    shutil.rmtree(scratch, ignore_errors=True)
    megapixels = scale_pictures.write_files(scratch / "files", PICTURES, width)
    size = sum(path.stat().st_size for path in (scratch / "files").rglob("*.jpeg"))
    return {"megapixels": megapixels, "kib": size / PICTURES / 1024}


def stub(side: int) -> dict[str, float]:
    """Size of a stub."""
    content = scale_stubs.png(bytes(side**2), side)
    return {"megapixels": side**2 / 1e6, "kib": len(content) / 1024}


STUB: Final = stub(scale_stubs.SIDE)


def seen_by(trunk: str, side: int) -> dict[str, float]:
    """What the model sees of an image."""
    own, gmac, channels = TRUNKS[trunk]
    return {
        "out_megapixels": (side / 1000) ** 2,
        "gmac": gmac * (side / own) ** 2,
        "channels": float(channels),
    }


def trunks() -> dict[str, tuple[int, float, int]]:
    """Those that the shipped model knows; `benchmarks.scale_trunks` counts them."""
    file = Path(__file__).with_name("scale_trunks.json")
    return {name: tuple(of) for name, of in json.loads(file.read_text()).items()}


TRUNKS: Final = trunks()
SMALL: Final = seen_by("MobileNet", 32)
MIDDLE: Final = seen_by("InceptionV3", 160)


def of_ingest(found: dict[str, Any], held: bool, **seen: float) -> Iterator[Row]:
    """Rows of one run of ingest."""
    of: dict[str, Any] = {"images": found["n"], "held": held, **seen}
    yield Row(
        step="ingest check", seconds=found["check_s"], memory_mib=found["peak_mib"], **of
    )  # fmt: skip
    yield Row(
        step="ingest write", seconds=found["write_s"], stored_bytes=found["shard_bytes"], **of
    )  # fmt: skip


def of_plan(found: dict[str, Any], held: bool) -> Row:
    """The row of a plan."""
    return Row(
        step="ingest plan", images=found["n"], seconds=found["plan_s"],
        memory_mib=found["peak_mib"], held=held, **STUB,
    )  # fmt: skip


def of_node(found: dict[str, Any], n: int, held: bool, **seen: float) -> Iterator[Row]:
    """The row of a node; none of one that is not modelled, or did not end."""
    name = found["node"]
    if name not in PART or "failed" in found:
        return
    passes = scale_nodes.SETTINGS["training"]["epochs"] if name == "Trainer" else 1
    yield Row(
        step=name, images=round(n * PART[name]), passes=passes, seconds=found["cpu_s"],
        memory_mib=found["peak_mib"], stored_bytes=found["out_bytes"], held=held, **seen,
    )  # fmt: skip


def fit(rows: list[Row]) -> CostModel:
    """Fits; says where it was measured."""
    pictures = [row for row in rows if row.step == "ingest write" and row.megapixels > 0.1]
    usual = pictures[0].kib / pictures[0].megapixels if pictures else 200.0
    return fit_model(rows, machine(), TRUNKS, usual)


def machine() -> dict[str, str]:
    """Facts of this machine and of what ran on it."""
    from importlib.metadata import version

    name = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": name,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in ("tfx", "tensorflow", "apache-beam")},
        "runner": "Beam's FnApiRunner in one process (engine direct)",
    }


def main() -> None:
    """Measures, or fits and draws what was measured."""
    parser = argparse.ArgumentParser(description="Measure and fit the cost model.")
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("pneumo_runs/scale"))
    parser.add_argument("--fit", type=Path, help="rows that were measured")
    parser.add_argument("--model", type=Path, help="JSON file to write")
    parser.add_argument("--docs", type=Path, help="folder for the plots")
    arguments = parser.parse_args()
    if arguments.fit is None:
        rows = list(measure(arguments.out, arguments.largest))
    else:
        lines = arguments.fit.read_text().splitlines()
        rows = [Row.model_validate_json(line) for line in lines if line.strip()]
    model = fit(rows)
    if arguments.model:
        arguments.model.write_text(model.model_dump_json(indent=1) + "\n")
    if arguments.docs:
        from benchmarks.scale_plots import draw

        draw(without_held(model, rows), rows, arguments.docs)
    for check in model.checks:
        print(f"{check.step} {check.quantity} at {check.images:,.0f}: {check.ratio:.3f}")


if __name__ == "__main__":
    main()
