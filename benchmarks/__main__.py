"""`make bench`: runs all benchmarks and prints the results as JSON and as a table."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

PARTS = ("ingest", "training", "whole", "serving")


def main() -> None:
    """Runs the selected benchmarks and prints their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"{', '.join(PARTS)}, scale")
    parser.add_argument("--out", type=Path, default=Path("pneumo_runs/bench.json"))
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for part in arguments.parts:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        results[part] = importlib.import_module(f"benchmarks.{part}").bench()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    for name, value in _flat(results):
        print(f"{name:70} {value:,.3g}" if isinstance(value, float) else f"{name:70} {value}")


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        nested = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else None
        rows += nested if nested is not None else [(prefix + name, value)]
    return rows


if __name__ == "__main__":
    main()
