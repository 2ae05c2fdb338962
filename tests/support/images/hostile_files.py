"""The kinds of broken, odd and hostile files in a data set, and the result of ingesting each."""

import gzip
import os
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from tests.support.images.radiographs import photograph
from tests.support.images.synthetic import color, encode, exif, gray, png_file

WRITTEN = "written"


def _picture(seed: int) -> Image.Image:
    return Image.fromarray(gray(48 + seed % 17, 40 + seed % 23, seed))


def jpeg_file(seed: int, **settings: object) -> bytes:
    return encode(_picture(seed), "JPEG", quality=90, **settings)


def _png(seed: int, mode: str = "L") -> bytes:
    return encode(_picture(seed).convert(mode), "PNG")


def _color_picture(seed: int) -> Image.Image:
    return Image.fromarray(color(50, 44, seed))


def _sixteen(seed: int) -> bytes:
    return encode(Image.fromarray(gray(44, 52, seed).astype(np.uint16) * 257), "PNG")


def _animated(seed: int) -> bytes:
    more = [_picture(seed).rotate(90 * i) for i in (1, 2)]
    return encode(_picture(seed), "PNG", save_all=True, append_images=more)


def _half(data: bytes, tail: bytes = b"") -> bytes:
    return data[: len(data) // 2] + tail


def _flip_pixels_of_png(seed: int) -> bytes:
    data = bytearray(_png(seed))
    data[data.index(b"IDAT") + 40] ^= 0xFF
    return bytes(data)


def _huge_png(seed: int) -> bytes:
    return png_file(30_000, 30_000, zlib.compress(bytes(1000)))


def _huge_jpeg(seed: int) -> bytes:
    data = bytearray(jpeg_file(seed))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 30_000, 30_000)
    return bytes(data)


def _text_bomb(seed: int) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * (80 << 20), zip=True)
    return encode(_picture(seed), "PNG", pnginfo=info)


def _random_bytes(seed: int) -> bytes:
    return b"?" + random.Random(seed).randbytes(500)


def _jpeg_header_and_noise(seed: int) -> bytes:
    return b"\xff\xd8\xff\xe0" + random.Random(seed).randbytes(700)


def _zeros_in_header(seed: int) -> bytes:
    data = bytearray(jpeg_file(seed))
    data[20:200] = bytes(180)
    return bytes(data)


def _without_tables(seed: int) -> bytes:
    data = jpeg_file(seed)
    return data[:2] + data[data.index(b"\xff\xda") :]


def _odd_exif(seed: int) -> bytes:
    return jpeg_file(seed, exif=b"Exif\0\0MM\0*\0\0\xff\xff" + bytes(8))


def _dicom(seed: int, syntax: str = "1.2.840.10008.1.2.1", **attributes: Any) -> bytes:
    from tests.support.images.dicoms import make_dataset, to_bytes

    pixels = attributes.pop("pixels", gray(48 + seed % 17, 40 + seed % 23, seed))
    return to_bytes(make_dataset(pixels, PatientID=f"PID-{seed}", **attributes), syntax)


def _film(seed: int) -> bytes:
    pixels = gray(50, 44, seed).astype(np.uint16) * 16
    return _dicom(seed, pixels=pixels, bits_stored=12, photometric="MONOCHROME1")


def _stack(seed: int) -> bytes:
    return _dicom(seed, pixels=np.stack([gray(40, 40, seed)] * 3))


Bytes = Callable[[int], bytes]

# kind -> (name of the file with {} for its number, bytes, expectation)
KINDS: dict[str, tuple[str, Bytes, str | tuple[str, ...]]] = {
    "gray jpeg": ("person{}_bacteria_1.jpeg", jpeg_file, WRITTEN),
    "rgb jpeg": ("person{}_virus_2.jpg", lambda s: encode(_color_picture(s), "JPEG"), WRITTEN),
    "progressive": ("IM-{}-0001.jpeg", lambda s: jpeg_file(s, progressive=True), WRITTEN),
    "cmyk": ("c{}.jpeg", lambda s: encode(_color_picture(s).convert("CMYK"), "JPEG"), WRITTEN),
    "rotated": ("r{}.jpeg", lambda s: jpeg_file(s, exif=exif(1 + s % 8)), WRITTEN),
    "damaged exif": ("e{}.jpeg", _odd_exif, WRITTEN),
    "mpo": (
        "m{}.jpeg",
        lambda s: encode(
            _color_picture(s), "MPO", save_all=True, append_images=[_color_picture(s + 1)]
        ),
        WRITTEN,
    ),
    "bytes after the end": ("t{}.jpeg", lambda s: jpeg_file(s) + b"\0" * 99, WRITTEN),
    "jpeg named png": ("j{}.png", jpeg_file, WRITTEN),
    "capital suffix": ("K{}.JPEG", jpeg_file, WRITTEN),
    "odd letters": ("é ü %20 {} \n'\".jpeg", jpeg_file, WRITTEN),
    "not utf-8": (os.fsdecode(b"\xff\xfe{}.jpeg"), jpeg_file, WRITTEN),
    "gray png": ("g{}.png", _png, WRITTEN),
    "rgb png": ("p{}.png", lambda s: encode(_color_picture(s), "PNG"), WRITTEN),
    "rgba png": ("a{}.png", lambda s: encode(_color_picture(s).convert("RGBA"), "PNG"), WRITTEN),
    "gray alpha png": ("l{}.png", lambda s: _png(s, "LA"), WRITTEN),
    "palette png": ("q{}.png", lambda s: encode(_color_picture(s).quantize(32), "PNG"), WRITTEN),
    "1-bit png": ("b{}.png", lambda s: _png(s, "1"), ("few_gray_values",)),
    "16-bit png": ("s{}.png", _sixteen, WRITTEN),
    "animated png": ("n{}.png", _animated, WRITTEN),
    "half a jpeg": ("h{}.jpeg", lambda s: _half(jpeg_file(s)), ("truncated",)),
    "half, closed again": ("hc{}.jpeg", lambda s: _half(jpeg_file(s), b"\xff\xd9"), ("truncated",)),
    "last byte lost": ("lb{}.jpeg", lambda s: jpeg_file(s)[:-1], ("truncated",)),
    "half a progressive": (
        "hp{}.jpeg",
        lambda s: _half(jpeg_file(s, progressive=True)),
        ("truncated",),
    ),
    "half a png": ("hg{}.png", lambda s: _half(_png(s)), ("truncated",)),
    "png without end": ("he{}.png", lambda s: _png(s)[:-12], ("truncated",)),
    "png with a flipped byte": ("hf{}.png", _flip_pixels_of_png, ("corrupt",)),
    "jpeg header and noise": ("jn{}.jpeg", _jpeg_header_and_noise, ("corrupt", "truncated")),
    "zeros in the header": ("jz{}.jpeg", _zeros_in_header, ("corrupt", "truncated")),
    "no tables": ("jt{}.jpeg", _without_tables, ("corrupt", "truncated")),
    "three bytes": ("j3{}.jpeg", lambda _: b"\xff\xd8\xff", ("corrupt", "truncated")),
    "empty": ("z{}.jpeg", lambda _: b"", ("empty",)),
    "web page": ("w{}.jpeg", lambda _: b"<!DOCTYPE html><html>403</html>", ("not_an_image",)),
    "random bytes": ("x{}.png", _random_bytes, ("not_an_image",)),
    "gzip": ("y{}.jpeg", lambda s: gzip.compress(jpeg_file(s), mtime=0), ("not_an_image",)),
    "1x1": ("o{}.png", lambda _: encode(Image.new("L", (1, 1)), "PNG"), ("too_small",)),
    "too narrow": ("u{}.png", lambda _: encode(Image.new("L", (16, 900)), "PNG"), ("too_narrow",)),
    "30,000x30,000 png": ("v{}.png", _huge_png, ("too_large",)),
    "30,000x30,000 jpeg": ("vj{}.jpeg", _huge_jpeg, ("too_large",)),
    "text bomb": ("vb{}.png", _text_bomb, ("corrupt",)),
    "black": ("kb{}.png", lambda _: encode(Image.new("L", (50, 60)), "PNG"), ("blank",)),
    "12 bits in 8": (
        "kl{}.png",
        lambda s: encode(Image.fromarray(gray(48, 50, s) // 16), "PNG"),
        ("low_contrast",),
    ),
    "mask": ("{}_mask.png", _png, ("mask",)),
    "photograph": (
        "kc{}.jpeg",
        lambda s: encode(Image.fromarray(photograph(s)), "JPEG"),
        ("color_photo",),
    ),
    "gif": ("f{}.gif", lambda s: encode(_picture(s), "GIF"), ("unsupported_format",)),
    "gif named jpeg": ("fj{}.jpeg", lambda s: encode(_picture(s), "GIF"), ("unsupported_format",)),
    "bmp": ("fb{}.bmp", lambda s: encode(_picture(s), "BMP"), ("unsupported_format",)),
    "tiff": ("ft{}.tif", lambda s: encode(_picture(s), "TIFF"), ("unsupported_format",)),
    "webp": ("fw{}.webp", lambda s: encode(_picture(s), "WEBP"), ("unsupported_format",)),
    "dicom": ("fd{}.dcm", _dicom, WRITTEN),
    "dicom of 12 bits": ("fn{}.dicom", _film, WRITTEN),
    "dicom without suffix": ("MR{}", _dicom, WRITTEN),
    "dicom named as a uid": ("1.2.840.{}", _dicom, WRITTEN),
    "dicom named jpeg": ("dj{}.jpeg", _dicom, WRITTEN),
    "dicom, rle": ("dr{}.dcm", lambda s: _dicom(s, "1.2.840.10008.1.2.5"), WRITTEN),
    "dicom, high pixels": ("dp{}.dcm", lambda s: _dicom(s, PixelSpacing=[0.2, 0.1]), WRITTEN),
    "dicom header alone": (
        "dh{}.dcm",
        lambda _: bytes(128) + b"DICM" + bytes(90),
        ("corrupt", "no_pixels"),
    ),
    "dicom without preamble": ("dm{}.dcm", lambda s: _dicom(s)[132:], "written"),
    "dicom of frames": ("df{}.dcm", _stack, ("multi_frame",)),
    "dicom of colour": ("dc{}.dcm", lambda s: _dicom(s, pixels=color(40, 40, s)), ("colour",)),
    "ct": ("ct{}.dcm", lambda s: _dicom(s, modality="CT"), ("wrong_modality",)),
    "screen shot": ("ds{}.dcm", lambda s: _dicom(s, modality="OT"), ("secondary_capture",)),
    "half a dicom": ("dt{}.dcm", lambda s: _half(_dicom(s)), ("truncated", "no_pixels", "corrupt")),
    "dicom claims more": (
        "dx{}.dcm",
        lambda s: _dicom(s, Rows=60_000, Columns=60_000),
        ("too_large",),
    ),
    "apple double": ("._d{}.jpeg", lambda _: b"\0\5\x16\7" + bytes(60), "skipped"),
    "hidden": (".hidden{}.jpeg", jpeg_file, "skipped"),
    "text": ("notes{}.txt", lambda _: b"notes", "skipped"),
    "csv": ("boxes{}.csv", lambda _: b"a,b", "skipped"),
    "no suffix": ("README{}", lambda _: b"read me", "skipped"),
}
