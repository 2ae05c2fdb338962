"""Workers of Beam: two over one on ingest's check, and where processes beat threads.

Every ratio is of runs that took turns, each in a process of its own, and is the median over the
pairs; the load of the machine before it stands beside it. A ratio above 1 means faster.

    python -m benchmarks.engines [FOLDER OF IMAGES]
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import measure

REPEATS = 3
TWO_OVER_ONE = (480, 1024)  # images, and their side in pixels
PAYS = ((200, 224), (1600, 224), (200, 1024), (800, 1024))


def bench(source: Path | None = None) -> dict[str, Any]:
    """Ratios, the seconds that they are made of, and the load meanwhile."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        given = source or _pictures(root / "pictures", *TWO_OVER_ONE)
        one = ("processes", 1)
        found: dict[str, Any] = {
            "two_workers_over_one": _ratio(given, root, one, ("processes", 2)),
            "processes_over_threads": {},
        }
        if source is None:
            for n, side in PAYS:
                folder = _pictures(root / f"{n}x{side}", n, side)
                found["processes_over_threads"][f"{n}_images_of_{side}"] = _ratio(
                    folder, root, ("direct", 2), ("processes", 2), repeats=1
                )
    return found


def _ratio(
    source: Path, root: Path, base: tuple[str, int], other: tuple[str, int], repeats: int = REPEATS
) -> dict[str, Any]:
    """Seconds of `base` over seconds of `other`, on the same images in turns."""
    pairs: list[list[dict[str, Any]]] = []
    load = os.getloadavg()[0]
    for number in range(repeats):
        turn = [_run(source, root / "dest", *what) for what in (base, other)[:: 1 - number % 2 * 2]]
        pairs.append(turn[:: 1 - number % 2 * 2])

    def of(key: str) -> float | None:
        # A check that is over between two looks at it has no duration.
        found = [a[key] / b[key] for a, b in pairs if min(a[key], b[key]) > 1]
        return statistics.median(found) if len(found) == len(pairs) else None

    return {
        "images": pairs[0][0]["images"],
        "ratio_of_check_after_start": of("busy_s"),
        "ratio_of_whole_ingest": of("seconds"),
        "base_check_s": [round(a["busy_s"], 2) for a, _ in pairs],
        "other_check_s": [round(b["busy_s"], 2) for _, b in pairs],
        "base_whole_s": [round(a["seconds"], 2) for a, _ in pairs],
        "other_whole_s": [round(b["seconds"], 2) for _, b in pairs],
        "load_before": round(load, 1),
    }


def _run(source: Path, dest: Path, engine: str, workers: int) -> dict[str, Any]:
    told = measure("-m", "benchmarks.engines", "run", source, dest, engine, str(workers))
    return {**json.loads(told.output.splitlines()[-1])}


def _child(source: Path, dest: Path, engine: str, workers: int) -> dict[str, Any]:
    """Ingests, and times the check from the first image that was done to the last."""
    import shutil

    from components.ingest.job import ingest
    from components.ingest.options import IngestOptions
    from pipeline.engines.arguments import known
    from pipeline.engines.local import running
    from pipeline.engines.options import BeamOptions

    seen: list[tuple[float, int]] = []

    def progress(phase: str, done: int, total: int) -> None:
        if phase == "check" and done:
            seen.append((time.perf_counter(), done))

    for path in source.rglob("*.jpeg"):
        path.read_bytes()  # every run finds the files in the page cache
    started = time.perf_counter()
    # One shard for each worker at least, so that writing is divided too.
    options, beam = IngestOptions(images_per_shard=64), BeamOptions(parallelism=workers)
    with running(known(engine), beam, dest.parent / "logs") as args:
        summary = ingest(source, dest, options, beam_args=args, progress=progress)
    seconds = time.perf_counter() - started
    shutil.rmtree(dest)
    (first, before), (last, after) = seen[0], next(x for x in seen if x[1] == seen[-1][1])
    busy = (last - first) * after / max(1, after - before)
    return {"images": summary.written, "seconds": seconds, "busy_s": busy}


def _pictures(dest: Path, n: int, side: int) -> Path:
    """n pictures, 40 of them different: a check takes as long for the hundredth copy."""
    from PIL import Image

    from tests.support.images import gray

    different = 40
    for i in range(n):
        path = dest / ("NORMAL", "PNEUMONIA")[i % 2] / f"person{i}_virus_{i}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < different:
            Image.fromarray(gray(side, side, i)).save(path, quality=90)
        else:
            first = i % different
            path.hardlink_to(path.with_name(f"person{first}_virus_{first}.jpeg"))
    return dest


def main() -> None:
    """Prints the numbers as JSON; `run` is one run of them."""
    if sys.argv[1:2] == ["run"]:
        source, dest, engine, workers = sys.argv[2:]
        print(json.dumps(_child(Path(source), Path(dest), engine, int(workers))))
        return
    source_given = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    print(json.dumps(bench(source_given), indent=1))


if __name__ == "__main__":
    main()
