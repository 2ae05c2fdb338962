"""Small synthetic images in every file format and color mode that the product reads."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image


def gray(height: int = 61, width: int = 83, seed: int = 0) -> np.ndarray:
    """A smooth picture with noise, uint8 [height, width]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    smooth = 128 + 80 * np.sin(x / 9 + seed) * np.cos(y / 7)
    return np.clip(smooth + rng.normal(0, 8, (height, width)), 0, 255).astype(np.uint8)


def color(height: int = 61, width: int = 83, seed: int = 0) -> np.ndarray:
    """Three different planes, as of a tinted film, uint8 [height, width, 3]."""
    planes = np.stack([gray(height, width, seed + i) for i in range(3)], axis=-1)
    return gray(height, width, seed)[..., np.newaxis] // 5 * 4 + planes // 5


def encode(image: Image.Image, kind: str, **settings: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def png_file(width: int, height: int, pixels: bytes, interlace: int = 0) -> bytes:
    """Writes an 8-bit gray PNG file whose header need not match its content.

    Args:
      width: in the header, pixels.
      height: in the header, pixels.
      pixels: compressed content of the IDAT chunk.
      interlace: 0 for none, 1 for Adam7.
    """

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F] = "maker"  # an earlier tag, so that the reader has to search
    tags[0x0112] = orientation
    return tags


def _palette() -> bytes:
    return encode(Image.fromarray(color()).quantize(64), "PNG")


def _alpha() -> bytes:
    planes = np.dstack([color(), gray(seed=9)])
    return encode(Image.fromarray(planes, "RGBA"), "PNG")


def _gray_alpha() -> bytes:
    return encode(Image.fromarray(np.dstack([gray(), gray(seed=9)]), "LA"), "PNG")


def _cmyk() -> bytes:
    return encode(Image.fromarray(color()).convert("CMYK"), "JPEG", quality=95)


def sixteen_bit(height: int = 61, width: int = 83) -> np.ndarray:
    return gray(height, width).astype(np.uint16) * 257


def _sixteen() -> bytes:
    return encode(Image.fromarray(sixteen_bit()), "PNG")


FORMS: dict[str, Callable[[], bytes]] = {
    "jpeg_gray": lambda: encode(Image.fromarray(gray()), "JPEG", quality=90),
    "jpeg_rgb": lambda: encode(Image.fromarray(color()), "JPEG", quality=90),
    "jpeg_444": lambda: encode(Image.fromarray(color()), "JPEG", quality=90, subsampling=0),
    "jpeg_progressive": lambda: encode(Image.fromarray(gray()), "JPEG", progressive=True),
    "jpeg_cmyk": _cmyk,
    "jpeg_odd": lambda: encode(Image.fromarray(gray(17, 5)), "JPEG"),
    "png_gray": lambda: encode(Image.fromarray(gray()), "PNG"),
    "png_rgb": lambda: encode(Image.fromarray(color()), "PNG"),
    "png_palette": _palette,
    "png_rgba": _alpha,
    "png_gray_alpha": _gray_alpha,
    "png_16bit": _sixteen,
    "png_1bit": lambda: encode(Image.fromarray(gray()).convert("1"), "PNG"),
    "png_interlaced_size": lambda: encode(Image.fromarray(gray(64, 31)), "PNG"),
    "png_1x1": lambda: encode(Image.fromarray(gray(1, 1)), "PNG"),
    **{
        f"jpeg_exif_{turn}": lambda turn=turn: encode(
            Image.fromarray(gray()), "JPEG", exif=exif(turn)
        )
        for turn in range(1, 9)
    },
    **{
        f"png_exif_{turn}": lambda turn=turn: encode(
            Image.fromarray(gray()), "PNG", exif=exif(turn)
        )
        for turn in (3, 6)
    },
}
