"""Augmentation options that are switched off, and one value for each option."""

OFF = dict.fromkeys(("rotation", "shift", "zoom", "brightness", "contrast", "noise"), 0)

SINGLE = {
    "rotation": 20.0,
    "shift": 0.2,
    "zoom": 0.3,
    "brightness": 0.2,
    "contrast": 0.5,
    "noise": 0.05,
    "flip": True,
}
