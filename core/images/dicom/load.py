"""Converts a DICOM file to a lossless PNG and its allow-listed tags."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.images.dicom.aspect import make_square, pixel_ratio, square_size
from core.images.dicom.decode import stored_words
from core.images.dicom.read import DicomRules, check, check_size, header_notes, parse
from core.images.dicom.render import render
from core.images.dicom.stored_bits import needed_bits, pixel_values
from core.images.dicom.tags import DicomTags, allowed_tags, path_identifies_patient, patient_key
from core.images.errors import ImageError, reject
from core.images.headers.segments import BITS_CHUNK
from schema.errors import PneumoError


@dataclass(frozen=True)
class DicomImage:
    """Everything that is kept of a DICOM file.

    Attributes:
      png: gray PNG file, 8 bits if the file stores 8 or fewer, else 16.
      tags: allow-listed tags.
      patient: see `tags.patient_key`.
      path_identifies_patient: whether the path contains identifying values of the tags.
      notes: codes of `notes.NOTES`, sorted.
    """

    png: bytes
    tags: DicomTags
    patient: str
    path_identifies_patient: bool
    notes: tuple[str, ...] = ()


def load(content: bytes, rules: DicomRules, salt: str = "", path: str = "") -> DicomImage:
    """Renders a DICOM file and reads its allow-listed tags.

    Args:
      content: bytes of the file.
      rules: which files are accepted.
      salt: for the patient key.
      path: path of the file, to detect whether it identifies the patient or is an image id.

    Raises:
      ImageError: the file cannot be used.
      PneumoError: pydicom is missing. No other exception is raised.
    """
    with _only_image_errors("read"):
        dataset = parse(content)
    identifies = path_identifies_patient(path, dataset)
    try:
        with _only_image_errors("rendered"):
            notes = header_notes(content, dataset)
            png, tags = _render(dataset, rules, notes)
    except ImageError as error:
        raise ImageError(error.reason, error.detail, identifies) from None
    key = patient_key(dataset, salt, path)
    return DicomImage(png, tags, key, identifies, tuple(sorted(notes)))


def to_png(content: bytes, rules: DicomRules | None = None) -> bytes:
    """Renders a DICOM file to PNG; see `load`."""
    return load(content, rules or DicomRules()).png


def _render(dataset: Any, rules: DicomRules, notes: set[str]) -> tuple[bytes, DicomTags]:
    checked = check(dataset, rules)
    ratio = pixel_ratio(dataset)
    check_size(*square_size(checked.rows, checked.columns, ratio), rules.max_pixels)
    values, note = pixel_values(stored_words(checked), checked.bits_stored)
    notes.update([note] if note else [])
    bits = needed_bits(values, checked.bits_stored)
    image = render(values, dataset, bits, notes)
    tags = allowed_tags(dataset, checked.rows, checked.columns, checked.bits_stored)
    return _png(make_square(image, ratio), 8 if bits <= 8 else 16), tags


@contextmanager
def _only_image_errors(action: str) -> Iterator[None]:
    """Converts every exception to an ImageError whose message quotes nothing from the file."""
    try:
        yield
    except PneumoError:
        raise
    except MemoryError:
        reject("too_large", "not enough memory for it")
    except Exception as error:
        reject("corrupt", f"it cannot be {action} ({type(error).__name__})")


def _png(image: NDArray[np.float64], bits: int) -> bytes:
    from PIL import Image, PngImagePlugin

    kind = np.uint8 if bits == 8 else np.uint16
    pixels = np.rint(image * (2**bits - 1)).astype(kind)
    out, chunks = io.BytesIO(), PngImagePlugin.PngInfo()
    if bits == 16:
        chunks.add(BITS_CHUNK, bytes([bits]))  # a dark image keeps its depth
    Image.fromarray(pixels).save(out, "PNG", compress_level=1, pnginfo=chunks)
    return out.getvalue()
