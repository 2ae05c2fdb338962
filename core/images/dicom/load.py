"""From the bytes of a DICOM file to a lossless PNG and what else may leave it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.aspect import make_square, ratio, squared
from core.images.dicom.decode import stored_values
from core.images.dicom.read import Rules, check, check_size, parse
from core.images.dicom.render import render
from core.images.dicom.tags import Tags, allowed, named_by, patient_key
from core.images.errors import ImageError, reject
from schema.errors import PneumoError


@dataclass(frozen=True)
class Loaded:
    """All that leaves a DICOM file.

    Attributes:
      png: gray, lossless; of 8 bits where the file stores 8 or fewer, else of 16.
      tags: the allow-list.
      patient: see `tags.patient_key`.
      path_identifies_patient: whether the path contains identifying values of the tags.
    """

    png: bytes
    tags: Tags
    patient: str
    path_identifies_patient: bool


def load(content: bytes, rules: Rules, salt: str = "", path: str = "") -> Loaded:
    """Renders a DICOM file, and reads the allow-list of its tags.

    Args:
      content: of the file.
      rules: which files are taken.
      salt: of the patient's key.
      path: of the file, to see whether it names the patient.

    Raises:
      ImageError: the file can't be used; no other error leaves this function, but
      PneumoError: pydicom is missing.
    """
    with _guarded("read"):
        dataset = parse(content)
    named = named_by(path, dataset)
    try:
        with _guarded("shown"):
            png, tags = _picture(dataset, rules)
    except ImageError as error:
        raise ImageError(error.reason, error.detail, named) from None
    return Loaded(png, tags, patient_key(dataset, salt), named)


def to_png(content: bytes, rules: Rules | None = None) -> bytes:
    """The picture alone; see `load`."""
    return load(content, rules or Rules()).png


def _picture(dataset: Any, rules: Rules) -> tuple[bytes, Tags]:
    opened = check(dataset, rules)
    high = ratio(dataset)
    check_size(*squared(opened.rows, opened.columns, high), rules.max_pixels)
    shown = render(stored_values(opened), dataset, opened.bits_stored)
    tags = allowed(dataset, opened.rows, opened.columns, opened.bits_stored)
    return _png(make_square(shown, high), 8 if opened.bits_stored <= 8 else 16), tags


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Whatever a damaged file makes raise becomes a line that holds none of its text."""
    try:
        yield
    except PneumoError:
        raise
    except MemoryError:
        reject("too_large", "no memory for it")
    except Exception as error:
        reject("corrupt", f"it can't be {what} ({type(error).__name__})")


def _png(shown: NDArray[np.float64], bits: int) -> bytes:
    from PIL import Image

    kind = np.uint8 if bits == 8 else np.uint16
    pixels = np.rint(shown * (2**bits - 1)).astype(kind)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()
