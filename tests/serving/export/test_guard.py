import io
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from core.images.decode import decode_gray, oriented, resize_gray, stored_gray
from serving.export.guard import STATUSES, Limits, fit_of, read_images
from tests.support.images import mutations
from tests.support.images.synthetic import FORMS, encode, gray

SIZE = 24
GOOD = FORMS["jpeg_rgb"]()
TINY = Limits(max_bytes=20_000, max_pixels=10_000, min_side=16, max_scanned=160_000)


def read(contents: list[bytes], limits: Limits = TINY) -> tuple[np.ndarray, list[str]]:
    pixels, status, _ = read_images(tf.constant(contents, tf.string), SIZE, "pad", limits)
    return pixels.numpy(), [text.decode() for text in status.numpy()]


def pixels_of(content: bytes) -> np.ndarray:
    return resize_gray(decode_gray(tf.constant(content)), SIZE, "pad").numpy()


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times."""
    content = FORMS["jpeg_progressive"]()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + b"\xff\xd9"


def closed(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\xff\xd9"


def without_last_rows() -> bytes:
    """A JPEG of 20 rows whose last row of blocks, 4 pixels high, is missing."""
    content = encode(Image.fromarray(gray(20, 24)), "JPEG", restart_marker_rows=1)
    return content[: content.index(b"\xff\xd1") - 1] + b"\xff\xd9"


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "EMPTY"),
    "text": (lambda: b"not an image", "NOT_JPEG_OR_PNG"),
    "html": (lambda: b"<html></html>", "NOT_JPEG_OR_PNG"),
    "gif": (lambda: encode(Image.fromarray(gray()), "GIF"), "NOT_JPEG_OR_PNG"),
    "bmp": (lambda: encode(Image.fromarray(gray()), "BMP"), "NOT_JPEG_OR_PNG"),
    "two_bytes": (lambda: GOOD[:2], "NOT_JPEG_OR_PNG"),
    "jpeg_magic": (lambda: GOOD[:3], "TRUNCATED"),
    "png_magic": (lambda: FORMS["png_gray"]()[:8], "TRUNCATED"),
    "png_half_header": (lambda: FORMS["png_gray"]()[:20], "TRUNCATED"),
    "jpeg_cut": (lambda: GOOD[: len(GOOD) // 2], "TRUNCATED"),
    "png_cut": (lambda: FORMS["png_rgb"]()[:-2000], "TRUNCATED"),
    "jpeg_cut_and_closed": (lambda: closed(GOOD), "TRUNCATED"),
    "jpeg_without_last_rows": (without_last_rows, "TRUNCATED"),
    "png_checksum": (
        lambda: FORMS["png_gray"]().replace(b"IDAT", b"IDAT\0", 1)[:-1],
        "DAMAGED",
    ),
    "jpeg_no_tables": (lambda: GOOD.replace(b"\xff\xdb", b"\xff\xe5"), "DAMAGED"),
    "png_zeros": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 90 + b"IEND", "TOO_SMALL"),
    "bytes": (lambda: GOOD + b"\0" * 20_000, "TOO_MANY_BYTES"),
    "pixels_jpeg": (lambda: encode(Image.fromarray(gray(101, 100)), "JPEG"), "TOO_MANY_PIXELS"),
    "pixels_png": (
        lambda: encode(Image.fromarray(np.zeros((101, 100), np.uint8)), "PNG"),
        "TOO_MANY_PIXELS",
    ),
    "jpeg_lies": (lambda: mutations.with_jpeg_sides(GOOD, 65000, 65000), "TOO_MANY_PIXELS"),
    "png_lies": (
        lambda: mutations.with_png_sides(FORMS["png_gray"](), 2**31 - 1, 2**31 - 1),
        "TOO_MANY_PIXELS",
    ),
    "png_lies_beyond": (
        lambda: mutations.with_png_sides(FORMS["png_gray"](), 2**32 - 1, 2**32 - 1),
        "TOO_MANY_PIXELS",
    ),
    "scans": (lambda: scans(35), "TOO_MANY_PIXELS: too many scans"),
    "small": (lambda: encode(Image.fromarray(gray(15, 90)), "PNG"), "TOO_SMALL"),
    "one_pixel": (FORMS["png_1x1"], "TOO_SMALL"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_image_is_named_and_black(case: str) -> None:
    make, expected = BAD[case]
    pixels, status = read([GOOD, make(), GOOD])
    assert status[1].startswith(expected)
    assert status[0] == status[2] == "OK"
    assert not pixels[1].any()
    np.testing.assert_array_equal(pixels[0], pixels_of(GOOD))
    np.testing.assert_array_equal(pixels[2], pixels_of(GOOD))


def test_every_status_is_reached() -> None:
    reached = {expected.partition(": ")[0] for _, expected in BAD.values()} | {"OK"}
    assert reached == set(STATUSES)


@pytest.mark.parametrize("form", FORMS)
def test_good_images_are_read_as_transform_reads_them(form: str) -> None:
    content = FORMS[form]()
    pixels, status = read([content], Limits(min_side=1))
    assert status == ["OK"]
    np.testing.assert_array_equal(pixels[0], pixels_of(content))


@pytest.mark.parametrize("form", FORMS)
def test_the_sides_of_the_displayed_image(form: str) -> None:
    """As Pillow shows it: with the EXIF orientation applied."""
    content = FORMS[form]()
    with Image.open(io.BytesIO(content)) as opened:
        width, height = ImageOps.exif_transpose(opened).size
    bad = content[: len(content) // 2]
    read = read_images(tf.constant([b"", content, bad]), SIZE, "pad", Limits(min_side=1))
    np.testing.assert_array_equal(read.sides, [[0, 0], [height, width], [0, 0]])
    assert read.sides.dtype == tf.int64


def test_more_forms() -> None:
    """Interlaced, with a transparent colour, 12 scans, with something after the end."""
    interlaced = _interlaced(gray(40, 33))
    transparent = io.BytesIO()
    Image.fromarray(gray()).save(transparent, "PNG", transparency=77)
    contents = [interlaced, transparent.getvalue(), scans(3), GOOD + b"more", interlaced + b"more"]
    pixels, status = read(contents)
    assert status == ["OK"] * 5
    np.testing.assert_array_equal(pixels, np.stack([pixels_of(content) for content in contents]))
    plain = pixels_of(encode(Image.fromarray(gray(40, 33)), "PNG"))
    np.testing.assert_array_equal(pixels[0], plain)
    np.testing.assert_array_equal(pixels[1], pixels_of(FORMS["png_gray"]()))


def _interlaced(image: np.ndarray) -> bytes:
    """A gray PNG in the seven passes of Adam7; Pillow writes none."""
    height, width = image.shape
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = [b"\0" + row.tobytes() for y, x, dy, dx in passes for row in image[y::dy, x::dx]]
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_any_batch_good_or_bad(count: int) -> None:
    for content, expected in ((GOOD, "OK"), (GOOD[:99], "TRUNCATED"), (b"x", "NOT_JPEG_OR_PNG")):
        pixels, status = read([content] * count)
        assert pixels.shape == (count, SIZE, SIZE, 1)
        assert [text.partition(": ")[0] for text in status] == [expected] * count


def test_a_bomb_costs_nothing() -> None:
    """400 megapixels in 50 KB, sixteen times: refused by the header, and not decoded."""
    bomb = encode(Image.new("L", (20_000, 20_000)), "PNG")
    assert len(bomb) < 1 << 20
    before = resident()
    _, status = read([bomb] * 16 + [GOOD], Limits())
    assert [text.partition(": ")[0] for text in status] == ["TOO_MANY_PIXELS"] * 16 + ["OK"]
    assert resident() - before < 300


def test_another_way_to_decode_is_found_out() -> None:
    def squeezed(raw: dict[str, Any]) -> dict[str, Any]:
        def one(content: tf.Tensor) -> tf.Tensor:
            return tf.io.encode_png(resize_gray(decode_gray(content), SIZE, "pad") // 2)

        flat = tf.reshape(raw["image/encoded"], [-1])
        return {"image_png": tf.map_fn(one, flat, fn_output_signature=tf.string)}

    with pytest.raises(ValueError, match="run Transform anew"):
        fit_of(squeezed, SIZE)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_the_fit_is_found(fit: str) -> None:
    from core.images.decode import to_png

    flat = {"shape": [-1]}
    found = fit_of(
        lambda raw: {"image_png": to_png(tf.reshape(raw["image/encoded"], **flat), SIZE, fit)}, SIZE
    )
    assert found == fit


BESIDE, AT_ONCE = 8, 40


@pytest.mark.parametrize(
    "count",
    [1_000, pytest.param(10_000, marks=pytest.mark.slow)],  # 3 s and 35 s of a processor
)
def test_damaged_files(count: int, tmp_path: Path) -> None:
    """In a saved graph: each batch answers, statuses are right, neighbours keep every bit."""
    serve = _saved(tmp_path)
    rng = random.Random(7)
    originals = mutations.originals()
    decodes = tf.function(_decoded, input_signature=[tf.TensorSpec([], tf.string)])
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    highest = [0.0, 0.0]  # resident memory, in either half
    for done in range(0, count, AT_ONCE):
        damaged = [mutations.mutate(rng.choice(originals), rng) for _ in range(AT_ONCE)]
        good = rng.sample(originals, BESIDE)
        places = sorted(rng.sample(range(AT_ONCE + BESIDE), BESIDE))
        mixed, clean = _together(good, damaged, places), _together(good, None, places)
        answer, reference = serve(tf.constant(mixed)), serve(tf.constant(clean))
        for key in ("numbers", "status", "pixels", "sides"):
            np.testing.assert_array_equal(
                answer[key].numpy()[places], reference[key].numpy()[places]
            )
        pixels = answer["pixels"].numpy()
        refused = np.array([text != b"OK" for text in answer["status"].numpy()])
        np.testing.assert_array_equal((answer["sides"].numpy() == 0).all(axis=1), refused)
        for i, text in enumerate(answer["status"].numpy().tolist()):
            code = text.decode().partition(": ")[0]
            counts[code] += 1
            if problem := _problem(mixed[i], code, pixels[i], decodes):
                wrong.append(problem)
        half = 2 * done // count
        highest[half] = max(highest[half], resident())
    assert not wrong, wrong[:10]
    assert sum(counts.values()) == count // AT_ONCE * (AT_ONCE + BESIDE)
    assert counts["OK"] > count // 10
    assert all(counts[code] > count // 500 for code in STATUSES if code != "TOO_MANY_BYTES"), counts
    # The first half fills the allocator's arenas, of which there are more on more cores.
    assert highest[1] - highest[0] < 200, "memory grows"


def _together(good: list[bytes], damaged: list[bytes] | None, places: list[int]) -> list[bytes]:
    """Good files at their places; damaged ones, or a good one, at all others."""
    rest = iter(damaged if damaged is not None else [GOOD] * AT_ONCE)
    beside = dict(zip(places, good, strict=True))
    return [beside[i] if i in beside else next(rest) for i in range(AT_ONCE + BESIDE)]


def _decoded(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Pixels in the square, the shorter side, and the last row as it lies in the file."""
    stored = stored_gray(content)
    pixels = resize_gray(oriented(stored, content), SIZE, "pad")
    return pixels, tf.reduce_min(tf.shape(stored)[:2]), stored[-1]


def _problem(content: bytes, code: str, pixels: np.ndarray, decodes: Any) -> str:
    """What is wrong about a status; "" if nothing is."""
    may = _may_decode(content)
    try:
        expected, side, last = decodes(tf.constant(content if may else b""))
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # of a message with the bytes
        decoded, side, last = False, 0, np.zeros(1)
    else:
        decoded = True
    known = content.startswith((mutations.JPEG, mutations.PNG))
    what = f"{code} for {content[:40]!r} of {len(content)} bytes"
    if code == "OK":
        if not decoded:
            return f"{what}: it does not decode"
        return "" if np.array_equal(pixels, expected) else f"{what}: other pixels"
    if pixels.any():
        return f"{what}: not black"
    fitting = {
        "EMPTY": not content,
        "NOT_JPEG_OR_PNG": bool(content) and not known,
        "TOO_MANY_PIXELS": known and not (may and decoded),
        "TOO_SMALL": known and (not decoded or side < 16),
        "TRUNCATED": known and (not decoded or bool((np.asarray(last) == 128).all())),
        "DAMAGED": known and not decoded,
    }
    return "" if fitting.get(code, False) else f"{what}: a wrong reason"


def _may_decode(content: bytes) -> bool:
    """Whether the header asks for so few pixels that the test itself may decode them."""
    if content.startswith(mutations.PNG):
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    else:
        try:
            width, height = Image.open(io.BytesIO(content)).size
        except Exception:  # TensorFlow's opinion is asked
            return True
    return width * height <= Limits().max_pixels


def _saved(folder: Path) -> Any:
    """The guard before a small network, saved and loaded."""

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(
                tf.random.stateless_normal([5, 5, 1, 8], [1, 2]), trainable=False
            )

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            pixels, status, sides = read_images(image_bytes, SIZE, "pad", Limits())
            maps = tf.nn.relu(tf.nn.conv2d(tf.cast(pixels, tf.float32), self.kernel, 2, "SAME"))
            numbers = tf.reduce_mean(maps, [1, 2])
            return {"pixels": pixels, "status": status, "sides": sides, "numbers": numbers}

    module = Module()
    tf.saved_model.save(module, str(folder / "model"), signatures={"serve": module.serve})
    loaded = tf.saved_model.load(str(folder / "model"))
    serve = loaded.signatures["serve"]
    serve._keep = loaded  # the function alone lets go of its variables
    return serve


def resident() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)
