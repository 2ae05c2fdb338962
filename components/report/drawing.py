"""What all figures share: size, colours, PNG bytes. matplotlib is imported where it is used."""

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, BLUE, ORANGE, GREY = "#1f2933", "#1f5fa8", "#c2571a", "#9aa5b1"
SERIES = (BLUE, ORANGE, "#2a7d4f", "#7b4fa3", "#8a6d1a", "#a33b5c")


def figure(width: float, height: float) -> tuple["Figure", Any]:
    """An empty figure of so many inches, and its axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=140, layout="constrained", facecolor="white")
    FigureCanvasAgg(made)
    axis = made.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(GREY)
    axis.tick_params(colors=INK, labelsize=9)
    return made, axis


def png(made: "Figure") -> bytes:
    """The figure as PNG, the same bytes for the same figure."""
    out = io.BytesIO()
    made.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """An image of a kind, such as png, as the address of itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail(content: bytes, side: int = 260) -> bytes | None:
    """A small gray JPEG of an image; None where it cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):
                image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
            image = image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return out.getvalue()


def operating_point(axis: Any, x: float, y: float, threshold: float | None) -> None:
    """Marks a point of a curve with its threshold."""
    axis.plot(x, y, "o", color=ORANGE, ms=7, zorder=5)
    axis.annotate(
        f"threshold {threshold:.3g}",
        (x, y),
        xytext=(10, -14),
        textcoords="offset points",
        fontsize=9,
        color=ORANGE,
    )
