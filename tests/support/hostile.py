"""Broken, odd and hostile files among good ones, in the folders of a data set."""

import gzip
import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from core.ingest.catalog import shown
from tests.support.images import colour, encode, exif, gray

WRITTEN = "written"


@dataclass(frozen=True)
class Made:
    """One file that was made.

    Attributes:
      path: relative to the destination.
      kind: key of KINDS.
      expect: "written", "skipped", or the reasons that a reject may have.
    """

    path: str
    kind: str
    expect: str | tuple[str, ...]


def _picture(seed: int) -> Image.Image:
    return Image.fromarray(gray(48 + seed % 17, 40 + seed % 23, seed))


def _jpeg(seed: int, **settings: object) -> bytes:
    return encode(_picture(seed), "JPEG", quality=90, **settings)


def _png(seed: int, mode: str = "L") -> bytes:
    return encode(_picture(seed).convert(mode), "PNG")


def _colour(seed: int) -> Image.Image:
    return Image.fromarray(colour(50, 44, seed))


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
    return _png_of(30_000, 30_000, zlib.compress(bytes(1000)))


def _png_of(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _huge_jpeg(seed: int) -> bytes:
    data = bytearray(_jpeg(seed))
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
    data = bytearray(_jpeg(seed))
    data[20:200] = bytes(180)
    return bytes(data)


def _without_tables(seed: int) -> bytes:
    data = _jpeg(seed)
    return data[:2] + data[data.index(b"\xff\xda") :]


def _odd_exif(seed: int) -> bytes:
    return _jpeg(seed, exif=b"Exif\0\0MM\0*\0\0\xff\xff" + bytes(8))


def _dicom(seed: int, syntax: str = "1.2.840.10008.1.2.1", **attributes: Any) -> bytes:
    from tests.support.dicoms import make, to_bytes

    pixels = attributes.pop("pixels", gray(48 + seed % 17, 40 + seed % 23, seed))
    return to_bytes(make(pixels, PatientID=f"PID-{seed}", **attributes), syntax)


def _film(seed: int) -> bytes:
    pixels = gray(50, 44, seed).astype(np.uint16) * 16
    return _dicom(seed, pixels=pixels, bits_stored=12, photometric="MONOCHROME1")


def _stack(seed: int) -> bytes:
    return _dicom(seed, pixels=np.stack([gray(40, 40, seed)] * 3))


Bytes = Callable[[int], bytes]

# kind -> (name of the file with {} for its number, bytes, expectation)
KINDS: dict[str, tuple[str, Bytes, str | tuple[str, ...]]] = {
    "gray jpeg": ("person{}_bacteria_1.jpeg", _jpeg, WRITTEN),
    "rgb jpeg": ("person{}_virus_2.jpg", lambda s: encode(_colour(s), "JPEG"), WRITTEN),
    "progressive": ("IM-{}-0001.jpeg", lambda s: _jpeg(s, progressive=True), WRITTEN),
    "cmyk": ("c{}.jpeg", lambda s: encode(_colour(s).convert("CMYK"), "JPEG"), WRITTEN),
    "rotated": ("r{}.jpeg", lambda s: _jpeg(s, exif=exif(1 + s % 8)), WRITTEN),
    "damaged exif": ("e{}.jpeg", _odd_exif, WRITTEN),
    "mpo": (
        "m{}.jpeg",
        lambda s: encode(_colour(s), "MPO", save_all=True, append_images=[_colour(s + 1)]),
        WRITTEN,
    ),
    "bytes after the end": ("t{}.jpeg", lambda s: _jpeg(s) + b"\0" * 99, WRITTEN),
    "jpeg named png": ("j{}.png", _jpeg, WRITTEN),
    "capital suffix": ("K{}.JPEG", _jpeg, WRITTEN),
    "odd letters": ("é ü %20 {} \n'\".jpeg", _jpeg, WRITTEN),
    "not utf-8": (os.fsdecode(b"\xff\xfe{}.jpeg"), _jpeg, WRITTEN),
    "gray png": ("g{}.png", _png, WRITTEN),
    "rgb png": ("p{}.png", lambda s: encode(_colour(s), "PNG"), WRITTEN),
    "rgba png": ("a{}.png", lambda s: encode(_colour(s).convert("RGBA"), "PNG"), WRITTEN),
    "gray alpha png": ("l{}.png", lambda s: _png(s, "LA"), WRITTEN),
    "palette png": ("q{}.png", lambda s: encode(_colour(s).quantize(32), "PNG"), WRITTEN),
    "1-bit png": ("b{}.png", lambda s: _png(s, "1"), WRITTEN),
    "16-bit png": ("s{}.png", _sixteen, WRITTEN),
    "animated png": ("n{}.png", _animated, WRITTEN),
    "half a jpeg": ("h{}.jpeg", lambda s: _half(_jpeg(s)), ("truncated",)),
    "half, closed again": ("hc{}.jpeg", lambda s: _half(_jpeg(s), b"\xff\xd9"), ("truncated",)),
    "last byte lost": ("lb{}.jpeg", lambda s: _jpeg(s)[:-1], ("truncated",)),
    "half a progressive": (
        "hp{}.jpeg",
        lambda s: _half(_jpeg(s, progressive=True)),
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
    "gzip": ("y{}.jpeg", lambda s: gzip.compress(_jpeg(s), mtime=0), ("not_an_image",)),
    "1x1": ("o{}.png", lambda _: encode(Image.new("L", (1, 1)), "PNG"), ("too_small",)),
    "too narrow": ("u{}.png", lambda _: encode(Image.new("L", (16, 900)), "PNG"), ("too_narrow",)),
    "30,000x30,000 png": ("v{}.png", _huge_png, ("too_large",)),
    "30,000x30,000 jpeg": ("vj{}.jpeg", _huge_jpeg, ("too_large",)),
    "text bomb": ("vb{}.png", _text_bomb, ("corrupt",)),
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
    "dicom without magic": ("dm{}.dcm", lambda s: _dicom(s)[132:], ("not_an_image",)),
    "dicom of frames": ("df{}.dcm", _stack, ("multi_frame",)),
    "dicom of colour": ("dc{}.dcm", lambda s: _dicom(s, pixels=colour(40, 40, s)), ("colour",)),
    "ct": ("ct{}.dcm", lambda s: _dicom(s, modality="CT"), ("wrong_modality",)),
    "screen shot": ("ds{}.dcm", lambda s: _dicom(s, modality="OT"), ("secondary_capture",)),
    "half a dicom": ("dt{}.dcm", lambda s: _half(_dicom(s)), ("truncated", "no_pixels", "corrupt")),
    "dicom claims more": (
        "dx{}.dcm",
        lambda s: _dicom(s, Rows=60_000, Columns=60_000),
        ("too_large",),
    ),
    "apple double": ("._d{}.jpeg", lambda _: b"\0\5\x16\7" + bytes(60), "skipped"),
    "hidden": (".hidden{}.jpeg", _jpeg, "skipped"),
    "text": ("notes{}.txt", lambda _: b"notes", "skipped"),
    "csv": ("boxes{}.csv", lambda _: b"a,b", "skipped"),
    "no suffix": ("README{}", lambda _: b"read me", "skipped"),
}
LINKS = ("broken link", "link to itself", "pipe", "unknown class", "macosx", "ds_store", "folder")


def make_hostile(dest: Path, n: int, seed: int) -> list[Made]:
    """Makes n files below dest/{train,val,test}/{NORMAL,PNEUMONIA}, every kind in turn.

    Args:
      dest: may hold other files already; the names collide with none of the well-known ones.
      n: files; from len(KINDS) + len(LINKS) on, every kind is among them.
      seed: equal seeds make equal trees.

    Returns:
      What was made and what is to become of it ("folder" is a folder named like a file and stands
      for no entry, so its line expects "nothing").
    """
    rng = random.Random(seed)
    kinds = [*KINDS, *LINKS]
    made = []
    for number in range(n):
        kind = kinds[number % len(kinds)]
        folder = f"{rng.choice(('train', 'val', 'test'))}/{rng.choice(('NORMAL', 'PNEUMONIA'))}"
        key = 900_000 + seed * 10_000 + number
        if kind in KINDS:
            name, make, expect = KINDS[kind]
            # The number's place is replaced alone: names hold other braces and percent signs.
            path = f"{folder}/{name.replace('{}', str(key))}"
            _write(dest / path, make(key))
            made.append(Made(path, kind, expect))
        else:
            made.append(_special(dest, folder, kind, key))
    return made


def _special(dest: Path, folder: str, kind: str, key: int) -> Made:
    path, expect = {
        "unknown class": (f"train/SOMETHING/{key}.jpeg", ("unknown_class",)),
        "macosx": (f"__MACOSX/train/NORMAL/{key}.jpeg", "skipped"),
        "ds_store": (f"{folder}/{key}/.DS_Store", "skipped"),
        "broken link": (f"{folder}/broken-{key}.jpeg", ("broken_link",)),
        "link to itself": (f"{folder}/link-{key}.jpeg", ("broken_link",)),
        "pipe": (f"{folder}/pipe-{key}.jpeg", ("not_a_file",)),
        "folder": (f"{folder}/folder-{key}.jpeg", "nothing"),
    }[kind]
    made = dest / path
    made.parent.mkdir(parents=True, exist_ok=True)
    if kind == "broken link":
        made.symlink_to("nowhere.jpeg")
    elif kind == "link to itself":
        made.symlink_to(made.name)
    elif kind == "pipe":
        os.mkfifo(made)
    elif kind == "folder":
        made.mkdir()
    else:
        made.write_bytes(_jpeg(key) if path.endswith(".jpeg") else b"\0\0\0\1Bud1")
    return Made(path, kind, expect)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def wrong_fates(made: list[Made], written: set[str], rejects: dict[str, str]) -> list[tuple]:
    """Files that met another fate than they should: (what was made, its fate).

    Args:
      made: of `make_hostile`.
      written: file names in the manifest.
      rejects: file name -> reason.
    """
    wrong = []
    for m in made:
        name = shown(m.path)
        fate = "written" if name in written else rejects.get(name, "skipped")
        if m.expect not in ("nothing", fate) and fate not in m.expect:
            wrong.append((m, fate))
    return wrong
