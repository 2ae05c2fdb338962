"""`pneumo ingest` of the RSNA challenge's whole shape with stubs for images: counts, time, memory.

    python -m benchmarks rsna_stubs

26,684 DICOM files of 64x64 pixels (JPEG inside, as there), made on the spot, and both tables with
as many rows, patients and boxes as the challenge has. First a tenth of it, then all: the peak of
memory is to stay the same.
"""

import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.child import measure

SIDE: Final = 64
PATIENTS: Final = 26_684
OPAQUE: Final = 6_012
BOXES: Final = 9_555
NORMAL: Final = 8_851
_ITEM: Final = b"\xfe\xff\x00\xe0"
_END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"

_CHILD: Final = """
import json, sys
from pathlib import Path
from components.ingest.job import ingest
from components.ingest.options import IngestOptions
summary = ingest(Path(sys.argv[1]), Path(sys.argv[2]), IngestOptions())
print(summary.model_dump_json())
"""


def bench() -> dict[str, Any]:
    """Ingests a tenth and the whole; see the module."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: _one(Path(folder) / name, part) for name, part in _PARTS.items()}


_PARTS: Final = {"tenth": 10, "whole": 1}


def _one(root: Path, part: int) -> dict[str, Any]:
    made = make_stubs(root / "source", part)
    cost = measure("-c", _CHILD, root / "source", root / "records")
    told = json.loads(cost.output.splitlines()[-1])
    boxes = told["boxes"]
    shutil.rmtree(root)
    counts: dict[str, int] = {}
    for split in told["splits"].values():
        for pathogen, n in split.items():
            counts[pathogen] = counts.get(pathogen, 0) + n
    return {
        **made,
        "found": told["found"],
        "written": told["written"],
        "rejected": told["rejected"],
        "skipped": sum(told["skipped"].values()),
        **{f"written_{name}": n for name, n in counts.items()},
        "boxes_read": boxes["read"],
        "boxes_written": boxes["written"],
        "boxes_rejected": boxes["rejected"],
        "images_with_boxes": sum(split["images"] for split in boxes["splits"].values()),
        "seconds": cost.wall,
        "cpu_seconds": cost.cpu,
        "images_per_second": told["written"] / cost.wall,
        "peak_rss_mib": cost.peak_mib,
    }


def make_stubs(root: Path, part: int) -> dict[str, int]:
    """Writes the folder; every count is divided by `part`. Returns what was made."""
    patients, opaque = PATIENTS // part, OPAQUE // part
    boxes, normal = BOXES // part, NORMAL // part
    images = root / "stage_2_train_images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    head = _head()
    labels, classes = ["patientId,x,y,width,height,Target"], ["patientId,class"]
    for n, place in enumerate(rng.permutation(patients).tolist()):
        name = f"{place:08x}-0000-4000-8000-{n:012x}"
        (images / f"{name}.dcm").write_bytes(_dicom(head, name, rng))
        if n < opaque:
            for _ in range(1 + (n < boxes - opaque)):
                x, y = rng.integers(0, 40, 2)
                labels.append(
                    f"{name},{x}.0,{y}.0,{rng.integers(4, 24)}.0,{rng.integers(4, 24)}.0,1"
                )
                classes.append(f"{name},Lung Opacity")
        else:
            labels.append(f"{name},,,,,0")
            kind = "Normal" if n < opaque + normal else "No Lung Opacity / Not Normal"
            classes.append(f"{name},{kind}")
    (root / "stage_2_train_labels.csv").write_text("\n".join(labels) + "\n")
    (root / "stage_2_detailed_class_info.csv").write_text("\n".join(classes) + "\n")
    return {"images": patients, "rows": len(labels) - 1, "box_rows": boxes}


_ID: Final = "00000000-0000-4000-8000-000000000000"


def _head() -> bytes:
    """A file up to its compressed picture."""
    from tests.support.dicoms import make, to_bytes

    dataset = make(
        np.zeros((SIDE, SIDE), np.uint8),
        planted=False,
        PatientID=_ID,
        PatientName=_ID,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
    )
    content = to_bytes(dataset, "1.2.840.10008.1.2.4.50")
    table = content.index(_ITEM)  # of offsets, without an entry
    return content[: table + 4] + bytes(4)


def _dicom(head: bytes, name: str, rng: "np.random.Generator") -> bytes:
    coarse = rng.integers(0, 256, (9, 9), np.uint8)
    picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    frame = out.getvalue() + b"\0" * (len(out.getvalue()) % 2)
    body = head.replace(_ID.encode(), name.encode())
    return body + _ITEM + len(frame).to_bytes(4, "little") + frame + _END
