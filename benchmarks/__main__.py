"""`make bench`: every ratio in one run, as JSON and as a table. Nothing here passes or fails."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

PARTS = (
    "ingest", "transform", "training", "whole", "serving", "serving_options", "locate", "engines",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=list(PARTS), help=f"of {', '.join(PARTS)}, rsna_stubs, scale"
    )
    parser.add_argument("--out", type=Path, default=Path("pneumo_runs/bench.json"))
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for part in arguments.parts:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        results[part] = importlib.import_module(f"benchmarks.{part}").bench()
    text = json.dumps(results, indent=1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text + "\n")
    print(text)
    show(results)


def show(results: dict[str, Any]) -> None:
    """Prints every number of the results in a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "what", "value")
    for part, values in results.items():
        for name, value in flat(values):
            shown = f"{value:,.3g}" if isinstance(value, float) else str(value)
            table.add_row(part, name, shown)
    Console(width=110).print(table)


def flat(values: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Nested dicts -> (dotted name, value)."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{before}{name}.")
        else:
            rows.append((before + name, value))
    return rows


if __name__ == "__main__":
    main()
