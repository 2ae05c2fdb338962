"""Ingest against a bare loop on one core that reads, checks, hashes and writes the same images.

    python -m benchmarks.ingest [FOLDER OF IMAGES]

The folder may be named by PNEUMO_DATA too; without one, synthetic pictures are made.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TIMES = 10  # how much larger the large tree is

_CHILD = """
import json, resource, sys, time
from pathlib import Path
start = time.perf_counter()
from benchmarks import ingest
result = getattr(ingest, sys.argv[1])(*map(Path, sys.argv[2:]))
result["seconds"] = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
result["peak_rss_mib"] = used.ru_maxrss / 1024
result["cpu_s"] = used.ru_utime + used.ru_stime
print(json.dumps(result))
"""


def bare(source: Path, dest: Path) -> dict[str, Any]:
    """The least that must be done for each image, in one plain loop: read, decode, hash, write."""
    import hashlib
    import io

    from PIL import Image

    from schema.example import encode
    from schema.tfrecord import frame

    n = 0
    with dest.open("wb") as stream:
        for path in sorted(_images(source)):
            data = path.read_bytes()
            gray = Image.open(io.BytesIO(data)).convert("L")
            pixels = hashlib.sha256(gray.tobytes()).hexdigest()
            features = {
                "image/encoded": data,
                "image/format": "jpeg",
                "image/height": gray.height,
                "image/width": gray.width,
                "image/sha256": hashlib.sha256(data).hexdigest(),
                "image/filename": path.name,
                "pixels": pixels,
            }
            stream.write(frame(encode(features)))
            n += 1
    return {"images": n}


def whole(source: Path, dest: Path) -> dict[str, Any]:
    """`pneumo ingest` with its default runner."""
    from components.ingest.job import ingest
    from components.ingest.options import IngestOptions

    phases: dict[str, float] = {}
    last = [time.perf_counter()]

    def progress(phase: str, done: int, total: int) -> None:
        now = time.perf_counter()
        phases[phase] = phases.get(phase, 0.0) + now - last[0]
        last[0] = now

    summary = ingest(source, dest, IngestOptions(), progress=progress)
    return {"images": summary.written, "phases": {k: round(v, 2) for k, v in phases.items()}}


def bench(source: Path | None = None) -> dict[str, Any]:
    """Measures both on the same images, each in a process of its own.

    Args:
      source: images; PNEUMO_DATA or 1,000 synthetic pictures where it is not given.

    Returns:
      images/s of both and their ratio, CPU seconds (fairer where the machine is busy), peak RSS in
      MiB at 1x and at TIMES x, and what the first is bound by.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        if source is None:
            given = os.environ.get("PNEUMO_DATA")
            source = Path(given) if given else _pictures(root / "pictures", 1000)
        list(map(Path.read_bytes, _images(source)))  # both find the files in the page cache
        loop = _child("bare", source, root / "bare.tfrecord")
        job = _child("whole", source, root / "dest")
        again = _child("whole", source, root / "dest")
        large = _child("whole", _linked(source, root / "large"), root / "large_dest")
    rate, bare_rate = job["images"] / job["seconds"], loop["images"] / loop["seconds"]
    return {
        "images": job["images"],
        "ingest_images_per_s": round(rate, 1),
        "bare_loop_images_per_s": round(bare_rate, 1),
        "ratio": round(rate / bare_rate, 3),
        "ingest_cpu_s": round(job["cpu_s"], 2),
        "bare_loop_cpu_s": round(loop["cpu_s"], 2),
        "phases_s": job["phases"],
        "reused_s": round(again["seconds"], 2),
        "peak_rss_mib": round(job["peak_rss_mib"]),
        "images_large": large["images"],
        "large_images_per_s": round(large["images"] / large["seconds"], 1),
        "large_phases_s": large["phases"],
        "large_cpu_s": round(large["cpu_s"], 2),
        "ratio_large": round(large["images"] / large["seconds"] / bare_rate, 3),
        "peak_rss_large_mib": round(large["peak_rss_mib"]),
        "bound_by": "decoding, hashing and Python per image; start of Beam for few images",
    }


def _images(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png"))


def _child(name: str, *paths: Path) -> dict[str, Any]:
    repository = str(Path(__file__).parents[1])
    out = subprocess.run(
        [sys.executable, "-c", _CHILD, name, *map(str, paths)],
        cwd=repository,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(out.stdout.splitlines()[-1])


def _linked(source: Path, dest: Path) -> Path:
    """The same images TIMES over, as links under other names: other patients, equal pixels."""
    for path in _images(source):
        folder = dest / path.relative_to(source).parent
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(TIMES):
            (folder / f"copy{copy}-{path.name}").symlink_to(path.resolve())
    return dest


def _pictures(dest: Path, n: int) -> Path:
    from PIL import Image

    from tests.support.images import gray

    for i in range(n):
        split = ("train", "train", "train", "test")[i % 4]
        path = dest / split / ("NORMAL", "PNEUMONIA")[i % 2] / f"{i}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gray(224, 224, i)).save(path, quality=90)
    return dest


def main() -> None:
    """Prints the numbers as JSON."""
    source = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    print(json.dumps(bench(source), indent=1))


if __name__ == "__main__":
    main()
