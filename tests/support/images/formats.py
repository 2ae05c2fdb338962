"""Files in formats that are not supported, and in unusual forms of those that are."""

import io

from PIL import Image, features

from tests.support.images.radiographs import chest

PICTURE = Image.fromarray(chest())


def saved(kind: str, **settings: object) -> bytes:
    out = io.BytesIO()
    PICTURE.save(out, kind, **settings)
    return out.getvalue()


def box(brand: bytes, more: bytes = b"mif1") -> bytes:
    """Returns the first box of an ISO media file, and arbitrary bytes."""
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + more + brand + bytes(range(200))


def frame(marker: int, bits: int = 8) -> bytes:
    """Returns a JPEG file with another marker and depth in the header of its frame."""
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    return bytes(data)


# name in the message -> content
UNSUPPORTED = {
    "GIF": saved("GIF"),
    "BMP": saved("BMP"),
    "TIFF": saved("TIFF"),
    "TIFF;": b"MM\0*" + bytes(300),
    "TIFF; ": b"II+\0" + bytes(300),
    "WebP": saved("WEBP"),
    "JPEG 2000": saved("JPEG2000"),
    "JPEG 2000;": saved("JPEG2000", no_jp2=True),
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(range(200)),
    "JPEG XL;": b"\xff\x0a" + bytes(range(200)),
    "JPEG XR": b"II\xbc\1" + bytes(300),
    "HEIC": box(b"heic"),
    "HEIC;": box(b"heix"),
    "HEIF": box(b"mif1"),
    "AVIF": saved("AVIF") if features.check("avif") else box(b"avif"),
    "AVIF;": box(b"avis"),
    "video": box(b"isom"),
    "PDF": saved("PDF"),
    "Photoshop": b"8BPS\0\1" + bytes(300),
    "PNM": saved("PPM"),
    "NIfTI": bytes(344) + b"n+1\0" + bytes(99),
    "NRRD": b"NRRD0004\ntype: short\n",
    "MetaImage": b"ObjectType = Image\n",
    "NumPy": b"\x93NUMPY\1\0" + bytes(300),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(300),
    "DICOM": bytes(128) + b"DICM" + bytes(300),
    "lossless JPEG": frame(0xC3),
    "hierarchical JPEG": frame(0xC5),
    "JPEG-LS": frame(0xF7),
    "JPEG of more than 8 bits": frame(0xC1, 12),
    "JPEG of more than 8 bits;": frame(0xC0, 12),
    "white space": b"\n" + saved("JPEG"),
    "white space ": b"\r\n\r\n" + saved("PNG"),
}
SUPPORTED = {
    "JPEG": saved("JPEG"),
    "progressive": saved("JPEG", progressive=True),
    "PNG": saved("PNG"),
    "MPO": saved("MPO", save_all=True, append_images=[PICTURE.rotate(90)]),
    "JPEG with a thumbnail": saved("JPEG", exif=b"Exif\0\0" + saved("JPEG")[:9000]),
}
