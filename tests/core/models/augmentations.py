"""Augmentation options that are switched off, and one value for each option."""

from typing import Any

OFF: dict[str, Any] = dict.fromkeys(
    ("rotation", "shift", "zoom", "brightness", "contrast", "noise", "gamma"), 0
)

SINGLE: dict[str, Any] = {
    "rotation": 20.0,
    "shift": 0.2,
    "zoom": 0.3,
    "brightness": 0.2,
    "contrast": 0.5,
    "noise": 0.05,
    "gamma": 0.5,
    "crop": (0.3, 0.6),
    "flip": True,
}
