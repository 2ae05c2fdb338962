"""Type of the fixture that adds finished runs."""

from collections.abc import Callable
from pathlib import Path

Make = Callable[..., Path]
