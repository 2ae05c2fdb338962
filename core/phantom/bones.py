"""Bones: ribs, spine, clavicles, shoulder blades, upper arms."""

import numpy as np

from core.phantom.anatomy import LEFT, RIGHT, Anatomy
from core.phantom.canvas import Canvas, Field, dome, ramp, tube
from core.phantom.chest import Chest, arm_line, capsule, near

RIBS = 12


def ribs(anatomy: Anatomy, canvas: Canvas, chest: Chest) -> Field:
    """Attenuation of the rib cage, nepers, [rows, columns].

    A rib is a loop in a tilted plane around a round thorax. Its projection is an ellipse:
    with a = s / half width and c = sqrt(1 - a^2) the back half runs at v0 + tilt (1 - c) and the
    front half at v0 + tilt (1 + c). All ribs of one half are drawn at once, as the fractional part
    of the height measured in rib spacings.
    """
    v = canvas.v
    closed = np.clip(1 + (chest.t + 0.02) / 0.11, 0, 1)  # the rib cage closes above the lungs
    cage = (chest.lateral + np.float32(0.035)) * np.sqrt(1 - (1 - closed) ** 2)
    cage = np.maximum(cage, 1e-3).astype(np.float32)
    a = np.minimum(chest.s / cage, 1)
    c = np.sqrt(1 - a * a)
    tilt = np.float32(anatomy.rib_tilt) * (0.60 + 0.50 * np.clip(chest.t, 0, 1.1))
    slope = (tilt / cage) * a / np.maximum(c, 0.12)
    flat = 1 / np.sqrt(1 + np.minimum(slope * slope, 3.9))
    # At the side of the chest the beam passes along the rib, which increases the attenuation.
    grazing = np.float32(anatomy.bone) / np.maximum(c, 0.42) * ramp(1 - a, 0.03)
    grazing *= np.float32(0.55) + np.float32(0.45) * ramp(a - 0.12, 0.25)
    # Ribs are faint below the diaphragm, where the abdomen absorbs low-energy photons.
    grazing *= 1 - np.float32(0.55) * ramp(v - chest.diaphragm, 0.12)
    first = np.float32(anatomy.apex - 0.12)
    spacing = np.float32(anatomy.rib_spacing)

    total = np.zeros(canvas.shape, np.float32)
    flat *= spacing / np.float32(anatomy.rib_half_width)
    for front in (False, True):
        height = (v - first - tilt * (1 + c if front else 1 - c)) / spacing
        number = np.round(height)
        height -= number
        height *= flat
        if front:  # anterior ends are wider and flatter; the cartilage is invisible
            profile = tube(height * np.float32(0.8), hollow=0.35)
            profile *= np.float32(0.24) * ramp(a - 0.45, 0.25) * (number <= 6)
        else:
            profile = tube(height)
            profile *= np.float32(0.34) * (number < RIBS)
        profile *= number >= (0 if front else 1)
        total += profile
    return total * grazing


def spine(anatomy: Anatomy, canvas: Canvas) -> Field:
    """Attenuation of the vertebral column, nepers, [rows, columns]."""
    total = np.zeros(canvas.shape, np.float32)
    half = np.float32(anatomy.spine_half_width)
    at, part = canvas.window(-0.26, canvas.v0, 0.26, float(canvas.v[-1, 0]))
    v = part.v
    x = (part.u - np.float32(anatomy.scoliosis) * np.sin(v * np.float32(2.6))) / half
    phase = (v - np.float32(anatomy.apex - 0.12)) / np.float32(anatomy.rib_spacing)
    y = phase - np.round(phase)  # 0 in the middle of a vertebral body
    disc = ramp(np.abs(y) - 0.31, 0.14)
    body = dome((x * x) ** 2) * (1 - np.float32(0.34) * disc)
    plate = np.exp(-(((np.abs(y) - 0.32) / 0.05) ** 2)) * (np.abs(x) < 0.95) * np.float32(0.05)
    pedicle = dome(((np.abs(x) - 0.62) / 0.22) ** 2 + ((y + 0.10) / 0.20) ** 2)
    process = dome((x / 0.17) ** 2 + ((y - 0.25) / 0.26) ** 2)
    wings = dome((x / 1.8) ** 2 + ((y + 0.05) / 0.24) ** 2)
    bone = 0.27 * body + plate + 0.12 * pedicle + 0.10 * process + 0.10 * wings
    total[at] = bone * np.float32(anatomy.bone)
    return total


def shoulder_girdle(anatomy: Anatomy, canvas: Canvas) -> Field:
    """Attenuation of clavicles, shoulder blades and upper arms, nepers, [rows, columns]."""
    width = anatomy.half_width
    total = np.zeros(canvas.shape, np.float32)
    # Clavicle: an S from the breastbone to the shoulder.
    at, part = canvas.window(-width - 0.1, anatomy.apex - 0.25, width + 0.1, anatomy.apex + 0.3)
    s: Field = np.abs(part.u)
    along = np.clip((s - 0.13) / (width - 0.13), 0, 1).astype(np.float32)
    course = anatomy.apex + 0.13 - 0.20 * along - 0.05 * np.sin(along * 2 * np.pi)
    ends = ramp(s - 0.11, 0.06) * ramp(-s + np.float32(width + 0.05), 0.08)
    total[at] += np.float32(0.46) * ends * tube((part.v - course) / (0.040 + 0.01 * along), 0.5)
    for side in (RIGHT, LEFT):
        shoulder, elbow = arm_line(anatomy, side)
        start = (shoulder[0] + 0.06 * (elbow[0] - shoulder[0]), shoulder[1] + 0.01)
        at, part = near(canvas, (start, elbow), 0.075)
        total[at] += np.float32(0.60) * tube(capsule(part, start, elbow) / np.float32(0.072), 0.7)
        at, part = near(canvas, (shoulder,), 0.12)
        du, dv = part.u - np.float32(shoulder[0]), part.v - np.float32(shoulder[1])
        ball = (du * du + dv * dv) * np.float32(1 / 0.11**2)
        total[at] += np.float32(0.30) * dome(ball)
        # Shoulder blade: a thin plate with a dense outer border.
        tip = (side * width * 0.88, anatomy.apex + 0.66)
        neck = (shoulder[0] - side * 0.05, shoulder[1] + 0.07)
        inner = (side * width * 0.62, shoulder[1] - 0.02)
        at, part = near(canvas, (tip, neck, inner), 0.05)
        border = capsule(part, neck, tip) / np.float32(0.032)
        total[at] += np.float32(0.20) * tube(border, hollow=0.3)
        outside = _left_of(part, neck, tip, -side)
        total[at] += np.float32(0.07) * (
            ramp(outside, 0.03)
            * ramp(_left_of(part, tip, inner, -side), 0.06)
            * ramp(part.v - inner[1], 0.06)
        )
    return total * np.float32(anatomy.bone)


def _left_of(
    canvas: Canvas, start: tuple[float, float], end: tuple[float, float], sign: int
) -> Field:
    """Returns the signed distance from the line through two points; `sign` selects the side."""
    du, dv = end[0] - start[0], end[1] - start[1]
    distance = (canvas.u - start[0]) * dv - (canvas.v - start[1]) * du
    return distance * np.float32(-sign / np.hypot(du, dv))
