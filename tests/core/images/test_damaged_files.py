"""Randomly damaged files: the statuses of the graph, and its agreement with Pillow."""

import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from core.images.decode_tf import orient, stored_gray
from core.images.errors import ImageError
from core.images.resize_tf import resize_gray
from core.images.rules import (
    CONTENT_STATUSES,
    JPEG_SIGNATURE,
    OK,
    PNG_SIGNATURE,
    STATUS_MESSAGES,
    ImageLimits,
)
from core.images.validate_pillow import decode_valid
from core.images.validate_tf import decode_batch
from tests.support.images import mutations
from tests.support.memory import resident_memory

SIZE = 24
LIMITS = ImageLimits()
DECODED = (OK, *CONTENT_STATUSES)
VALID, DAMAGED = 8, 40  # files of a batch

# Status of the graph -> what Pillow finds. The two differ where one decoder tolerates damage that
# the other does not, and in the order of their checks; ingest also limits the aspect ratio.
AGREEMENT = {
    "OK": {"valid", "truncated", "too_narrow"},
    "INVERTED": {"valid", "truncated", "too_narrow"},
    **{
        status: {status.lower(), "truncated", "too_narrow"}
        for status in ("BLANK", "LOW_CONTRAST", "FEW_GRAY_VALUES", "COLOR_PHOTO")
    },
    "UNSUPPORTED_JPEG": {"unsupported_format", "corrupt", "truncated", "too_large", "too_small"},
    "EMPTY": {"empty"},
    "NOT_JPEG_OR_PNG": {"not_an_image", "unsupported_format", "truncated"},
    "TOO_MANY_PIXELS": {"too_large", "corrupt", "truncated", "unsupported_format"},
    "TOO_SMALL": {"too_small", "too_large", "corrupt", "truncated", "unsupported_format"},
    "TRUNCATED": {
        *("truncated", "corrupt", "too_large", "too_small", "too_narrow", "unsupported_format"),
    },
    "DAMAGED": {
        *("corrupt", "truncated", "too_large", "too_small", "too_narrow", "unsupported_format"),
        *("valid", "few_gray_values", "low_contrast"),
    },
}


@pytest.mark.parametrize(
    "count",
    [1_000, pytest.param(10_000, marks=pytest.mark.slow)],  # 3 s and 35 s of a processor
)
def test_damaged_files_in_a_saved_graph(count: int, tmp_path: Path) -> None:
    """Every batch succeeds, statuses are right, and results of valid files are bit-equal."""
    serve = _saved_model(tmp_path)
    rng = random.Random(7)
    originals = mutations.originals()
    decode = tf.function(_decode, input_signature=[tf.TensorSpec([], tf.string)])
    counts: Counter[str] = Counter()
    problems: list[str] = []
    memory = [0.0, 0.0]  # maximum in each half
    for done in range(0, count, DAMAGED):
        damaged = [mutations.mutate(rng.choice(originals), rng) for _ in range(DAMAGED)]
        valid = rng.sample(originals, VALID)
        rows = sorted(rng.sample(range(DAMAGED + VALID), VALID))
        mixed = _mix(valid, damaged, rows)
        outputs = serve(tf.constant(mixed))
        reference = serve(tf.constant(_mix(valid, [originals[0]] * DAMAGED, rows)))
        for key in ("numbers", "status", "pixels", "sides"):
            np.testing.assert_array_equal(outputs[key].numpy()[rows], reference[key].numpy()[rows])
        statuses = [text.decode() for text in outputs["status"].numpy()]
        rejected = [status not in DECODED for status in statuses]
        np.testing.assert_array_equal((outputs["sides"].numpy() == 0).all(axis=1), rejected)
        counts.update(statuses)
        for content, status, pixels in zip(mixed, statuses, outputs["pixels"].numpy(), strict=True):
            if problem := _problem(content, status, pixels, decode):
                problems.append(f"{status} for {content[:40]!r}, {len(content)} bytes: {problem}")
        half = 2 * done // count
        memory[half] = max(memory[half], resident_memory())
    assert not problems, problems[:10]
    assert counts["OK"] > count // 10
    frequent = {*STATUS_MESSAGES} - {"TOO_MANY_BYTES", "UNSUPPORTED_JPEG", *CONTENT_STATUSES}
    assert all(counts[status] > count // 500 for status in frequent), counts
    # The first half fills the allocator's arenas, of which there are more on more cores.
    assert memory[1] - memory[0] < 200, "memory grows"


def test_the_graph_agrees_with_pillow() -> None:
    rng = random.Random(5)
    originals = mutations.originals()
    files = [mutations.mutate(rng.choice(originals), rng) for _ in range(1_000)]
    statuses = decode_batch(tf.constant(files), SIZE, "pad", LIMITS).status.numpy()
    pairs: Counter[tuple[str, str]] = Counter()
    for content, text in zip(files, statuses, strict=True):
        try:
            decode_valid(content, LIMITS.max_pixels, LIMITS.min_side)
            result = "valid"
        except ImageError as error:
            result = error.reason
        pairs[text.decode(), result] += 1
    assert not [pair for pair in pairs if pair[1] not in AGREEMENT[pair[0]]]
    valid = sum(n for (_, result), n in pairs.items() if result == "valid")
    assert pairs["OK", "valid"] > 0.9 * valid
    assert pairs["OK", "valid"] > 0.9 * sum(n for (status, _), n in pairs.items() if status == "OK")


def _mix(valid: list[bytes], damaged: list[bytes], rows: list[int]) -> list[bytes]:
    """Returns a batch with the valid files at `rows` and the damaged files at all other rows."""
    rest = iter(damaged)
    at = dict(zip(rows, valid, strict=True))
    return [at[i] if i in at else next(rest) for i in range(DAMAGED + VALID)]


def _decode(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the resized pixels, the shorter side and the last stored row."""
    stored = stored_gray(content)
    pixels = resize_gray(orient(stored, content), SIZE, "pad")
    return pixels, tf.reduce_min(tf.shape(stored)[:2]), stored[-1]


def _problem(content: bytes, status: str, pixels: np.ndarray, decode: Any) -> str:
    """Returns why a status or its pixels are wrong, "" if they are right."""
    small_enough = _is_small_enough(content)
    try:
        expected, side, last = decode(tf.constant(content if small_enough else b""))
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # of a message with the bytes
        decoded, side, last = False, 0, np.zeros(1)
    else:
        decoded = True
    known = content.startswith((JPEG_SIGNATURE, PNG_SIGNATURE))
    if status in DECODED:
        if not decoded:
            return "it cannot be decoded"
        return "" if np.array_equal(pixels, expected) else "other pixels"
    if pixels.any():
        return "not black"
    possible = {
        "EMPTY": not content,
        "NOT_JPEG_OR_PNG": bool(content) and not known,
        "TOO_MANY_PIXELS": known and not (small_enough and decoded),
        "TOO_SMALL": known and (not decoded or side < 16),
        "TRUNCATED": known and (not decoded or bool((np.asarray(last) == 128).all())),
        "DAMAGED": known and not decoded,
        "UNSUPPORTED_JPEG": known and not decoded,
    }
    return "" if possible.get(status, False) else "wrong status"


def _is_small_enough(content: bytes) -> bool:
    """Returns whether the header has so few pixels that the test itself may decode the file."""
    if content.startswith(PNG_SIGNATURE):
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    else:
        try:
            width, height = Image.open(io.BytesIO(content)).size
        except Exception:  # left to TensorFlow
            return True
    return width * height <= LIMITS.max_pixels


def _saved_model(folder: Path) -> Any:
    """Saves and loads `decode_batch` with a small network, and returns its signature."""

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(
                tf.random.stateless_normal([5, 5, 1, 8], [1, 2]), trainable=False
            )

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            pixels, status, _, sides = decode_batch(image_bytes, SIZE, "pad", LIMITS)
            maps = tf.nn.relu(tf.nn.conv2d(tf.cast(pixels, tf.float32), self.kernel, 2, "SAME"))
            numbers = tf.reduce_mean(maps, [1, 2])
            return {"pixels": pixels, "status": status, "sides": sides, "numbers": numbers}

    module = Module()
    tf.saved_model.save(module, str(folder / "model"), signatures={"serve": module.serve})
    loaded = tf.saved_model.load(str(folder / "model"))
    serve = loaded.signatures["serve"]
    serve._keep = loaded  # the signature alone does not keep the variables alive
    return serve
