"""Phantoms at the sizes of real radiographs, as records: what a megapixel costs."""

import hashlib
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks import scale_stubs


def drawn(n: int, width: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields (JPEG, height, width) of `n` phantoms; few are drawn, each is used several times.

    A picture that comes again gets a comment in its JPEG, so that no two files are equal.
    """
    import numpy as np
    from PIL import Image

    from components.phantom.dataset import draw_image
    from components.phantom.plan import patients

    pictures = [
        Image.fromarray(np.asarray(draw_image(0, patient, 0, width).pixels))
        for patient in islice(patients(0), 8)
    ]
    for number in range(n):
        out = io.BytesIO()
        picture = pictures[number % len(pictures)]
        picture.save(out, "JPEG", quality=92, comment=f"{number}".encode())
        yield out.getvalue(), picture.height, picture.width


def write_records(dest: Path, n: int, width: int) -> float:
    """Writes records of phantoms; returns the mean of their megapixels."""
    from schema.example import encode
    from schema.tfrecord import frame

    dest.mkdir(parents=True)
    images = drawn(n, width)
    number, megapixels = 0, 0.0
    for split, part in scale_stubs.PARTS:
        with (dest / f"{split}-00000-of-00001.tfrecord").open("wb") as out:
            for _ in range(round(n * part)):
                data, height, wide = next(images)
                values = scale_stubs.values(
                    data, hashlib.sha256(data).hexdigest(), ("normal", "bacteria")[number % 2],
                    scale_stubs.path_of(number), f"person-{number}", height, wide,
                )  # fmt: skip
                out.write(frame(encode(values)))
                megapixels += height * wide / 1e6
                number += 1
    scale_stubs.finish(dest, number)
    return megapixels / number


def write_files(dest: Path, n: int, width: int) -> float:
    """Writes phantoms as files; returns the mean of their megapixels."""
    megapixels = 0.0
    for number, (data, height, wide) in enumerate(drawn(n, width)):
        file = dest / scale_stubs.path_of(number).replace(".png", ".jpeg")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        megapixels += height * wide / 1e6
    return megapixels / n
