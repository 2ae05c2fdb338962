"""Ingest with two threads against two worker processes; the table of docs/engines.md."""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import measure

SIZES = ((200, 224), (1600, 224), (200, 1024), (800, 1024))  # images, side in pixels
DIFFERENT = 40  # images; the others are links to them


def bench() -> dict[str, Any]:
    """Seconds of each ingest in a process of its own, and their ratio."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for n, side in SIZES:
            folder = _images(Path(scratch) / f"{n}x{side}", n, side)
            row = {}
            for engine in ("direct", "processes"):
                dest = Path(scratch) / f"{n}x{side}-{engine}"
                output = measure("-m", "benchmarks.engines", folder, dest, engine).output
                row[f"{engine}_s"] = float(output.splitlines()[-1])
            found[f"{n}_of_{side}"] = {**row, "ratio": row["direct_s"] / row["processes_s"]}
    return found


def _ingest(source: Path, dest: Path, engine: str) -> float:
    from components.ingest.job import ingest
    from components.ingest.options import IngestOptions
    from pipeline.engines.arguments import beam_args, known
    from pipeline.engines.options import BeamOptions

    args = beam_args(known(engine), BeamOptions(parallelism=2))
    started = time.perf_counter()
    ingest(source, dest, IngestOptions(images_per_shard=64), beam_args=args)
    return time.perf_counter() - started


def _images(dest: Path, n: int, side: int) -> Path:
    from PIL import Image

    from tests.support.images import gray

    for i in range(n):
        path = dest / ("NORMAL", "PNEUMONIA")[i % 2] / f"person{i}_virus_{i}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < DIFFERENT:
            Image.fromarray(gray(side, side, i)).save(path, quality=90)
        else:
            path.hardlink_to(path.with_name(f"person{i % DIFFERENT}_virus_{i % DIFFERENT}.jpeg"))
    return dest


if __name__ == "__main__":
    print(json.dumps(_ingest(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
