"""Ingest, compared with a loop that reads, decodes, hashes and writes the images on one core.

    python -m benchmarks ingest

Images: the folder PNEUMO_DATA, or 1,000 synthetic images. The RSNA part has the file count of the
challenge: 26,684 DICOM files of 64 x 64 pixels (JPEG-compressed) and both tables with all rows.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import measure

COPIES = 10  # of each image in the large tree
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PATIENTS, OPAQUE, BOXES, NORMAL = 26_684, 6_012, 9_555, 8_851  # of the challenge


def bench() -> dict[str, Any]:
    """Returns images per second, CPU seconds and peak memory; each part runs in its own process."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        source = Path(os.environ.get("PNEUMO_DATA") or _synthetic(root / "images", 1000))
        n = len([path.read_bytes() for path in _images(source)])  # warms the page cache
        loop = measure("-m", "benchmarks.ingest", "bare", source, root / "bare.tfrecord")
        small = _ingest(source, root / "small")
        large = _ingest(_linked(source, root / "large"), root / "large_records")
        rsna = {
            name: _ingest(_challenge(root / name, part), root / f"{name}_records")
            for name, part in (("tenth", 10), ("whole", 1))
        }
    return {
        "bare_images_per_s": n / loop.wall,
        "ratio": small["images_per_s"] / (n / loop.wall),
        "ratio_large": large["images_per_s"] / (n / loop.wall),
        "small": small,
        "large": large,
        "rsna": rsna,
    }


def _ingest(source: Path, dest: Path) -> dict[str, Any]:
    cost = measure("-m", "benchmarks.ingest", "ingest", source, dest)
    written = json.loads(cost.output.splitlines()[-1])["written"]
    rate = {"written": written, "images_per_s": written / cost.wall}
    return {**rate, "cpu_s": cost.cpu, "peak_rss_mib": cost.peak_mib}


def _bare(source: Path, dest: Path) -> None:
    """Does the minimum work for each image."""
    import hashlib
    import io

    from PIL import Image

    from schema.example import encode
    from schema.tfrecord import frame

    with dest.open("wb") as stream:
        for path in sorted(_images(source)):
            data = path.read_bytes()
            gray = Image.open(io.BytesIO(data)).convert("L")
            features = {
                "image/encoded": data,
                "image/height": gray.height,
                "image/width": gray.width,
                "image/sha256": hashlib.sha256(data).hexdigest(),
                "image/filename": path.name,
                "pixels": hashlib.sha256(gray.tobytes()).hexdigest(),
            }
            stream.write(frame(encode(features)))


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png"))


def _linked(source: Path, dest: Path) -> Path:
    """Creates COPIES links to every image: different patients, equal pixels."""
    for path in _images(source):
        folder = dest / path.relative_to(source).parent
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(COPIES):
            (folder / f"copy{copy}-{path.name}").symlink_to(path.resolve())
    return dest


def _synthetic(dest: Path, n: int) -> Path:
    from PIL import Image

    from tests.support.images.synthetic import gray

    for i in range(n):
        split = ("train", "train", "train", "test")[i % 4]
        path = dest / split / ("NORMAL", "PNEUMONIA")[i % 2] / f"{i}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gray(224, 224, i)).save(path, quality=90)
    return dest


def _challenge(root: Path, part: int) -> Path:
    """Writes a data set in the layout of the challenge, with all counts divided by `part`."""
    from PIL import Image

    from tests.support.images.dicoms import make_dataset, to_bytes

    images = root / "stage_2_train_images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    patients, opaque, boxes, normal = (n // part for n in (PATIENTS, OPAQUE, BOXES, NORMAL))
    labels, classes = ["patientId,x,y,width,height,Target"], ["patientId,class"]
    for n, number in enumerate(rng.permutation(patients).tolist()):
        name = f"{number:08x}-0000-4000-8000-{n:012x}"
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8))
        pixels = np.asarray(coarse.resize((64, 64), Image.Resampling.BICUBIC))
        names = {"PatientID": name, "PatientName": name}
        dataset = make_dataset(pixels, planted=False, SOPClassUID=SECONDARY_CAPTURE, **names)
        (images / f"{name}.dcm").write_bytes(to_bytes(dataset, "1.2.840.10008.1.2.4.50"))
        kind = "Normal" if n < opaque + normal else "No Lung Opacity / Not Normal"
        if n >= opaque:
            labels.append(f"{name},,,,,0")
            classes.append(f"{name},{kind}")
        for _ in range(1 + (n < boxes - opaque) if n < opaque else 0):
            x, y = rng.integers(0, 40, 2)
            labels.append(f"{name},{x}.0,{y}.0,{rng.integers(4, 24)}.0,{rng.integers(4, 24)}.0,1")
            classes.append(f"{name},Lung Opacity")
    (root / "stage_2_train_labels.csv").write_text("\n".join(labels) + "\n")
    (root / "stage_2_detailed_class_info.csv").write_text("\n".join(classes) + "\n")
    return root


if __name__ == "__main__":
    side, source, dest = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if side == "bare":
        _bare(source, dest)
    else:
        from core.ingest.job import ingest
        from core.ingest.options import IngestOptions

        print(json.dumps({"written": ingest(source, dest, IngestOptions()).written}))
