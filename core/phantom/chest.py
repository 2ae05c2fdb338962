"""Soft tissue and air: body outline, lungs, heart, mediastinum, diaphragm, vessels."""

import math
from dataclasses import dataclass

import numpy as np

from core.phantom.anatomy import LEFT, RIGHT, Anatomy
from core.phantom.canvas import Canvas, Field, blur, dome, ramp

Point = tuple[float, float]


@dataclass(frozen=True)
class Chest:
    """Geometry shared by organs, bones and findings. Arrays are float32.

    Attributes:
      side: -1 on the patient's right, +1 on the left, [1, columns].
      s: distance from the midline, [1, columns].
      t: height in the lung, 0 at the apex, 1 at the costophrenic angle, [rows, 1].
      lateral: inner half width of the thorax, [rows, 1].
      medial: inner border of the lungs, [rows, 1].
      diaphragm: v of the diaphragm, [1, columns].
      chord: relative depth of the thorax, 1 in the middle, 0 at its side, [rows, columns].
      lungs: mask of the lungs with soft edges, 0 to 1, [rows, columns].
      heart: relative thickness of the heart, 0 to 1, [rows, columns].
    """

    side: Field
    s: Field
    t: Field
    lateral: Field
    medial: Field
    diaphragm: Field
    chord: Field
    lungs: Field
    heart: Field


def chest_geometry(anatomy: Anatomy, canvas: Canvas, yaw: float, breath: float) -> Chest:
    """Builds the geometry of the chest.

    Args:
      anatomy: the patient.
      canvas: the grid.
      yaw: relative difference of the widths of the two halves.
      breath: lowering of the diaphragm, in units.
    """
    u, v = canvas.u, canvas.v
    side = np.where(u < 0, np.float32(RIGHT), np.float32(LEFT))
    s = np.abs(u) * (1 + side * np.float32(yaw))
    top_of_dome = anatomy.dome + breath
    lowest = top_of_dome + anatomy.sulcus
    t = (v - np.float32(anatomy.apex)) / np.float32(lowest - anatomy.apex)

    width = np.float32(anatomy.half_width)
    inside = np.clip(t, 0, 1)
    lateral = width * (0.44 + 0.56 * (1 - (1 - inside) ** 2.2) ** 0.56)
    lateral = (lateral - width * np.float32(0.04) * ramp(t - 0.75, 0.5)).astype(np.float32)
    near_apex = np.clip(t / 0.2, 0, 1)
    medial = (width * (0.44 - 0.25 * np.sqrt(1 - (1 - near_apex) ** 2))).astype(np.float32)
    medial = medial + np.float32(anatomy.thymus) * np.exp(-(((t - 0.26) / 0.15) ** 2))

    reach = np.abs(u) / width
    fall = np.abs((reach - 0.40) / 0.60) ** 2.0
    drop = np.where(side > 0, np.float32(anatomy.dome_drop), np.float32(0))
    diaphragm = (top_of_dome + drop + anatomy.sulcus * fall).astype(np.float32)

    chord = dome((s / lateral) ** 2)
    lungs = ramp(lateral - s, 0.035) * ramp(s - medial, 0.08) * (t > 0)
    lungs *= ramp(diaphragm - v, 0.04)
    heart = heart_chord(anatomy, canvas, breath)
    return Chest(side, s, t, lateral, medial, diaphragm, chord, lungs, heart)


def heart_chord(anatomy: Anatomy, canvas: Canvas, breath: float) -> Field:
    """Relative thickness of the heart with the great vessels, 0 to 1, [rows, columns]."""
    thickness = np.zeros(canvas.shape, np.float32)
    base = anatomy.heart_v + 0.7 * breath
    at, part = canvas.window(-0.6, base - 0.95, 0.95, base + 0.65)
    du, dv = part.u - np.float32(anatomy.heart_u), part.v - np.float32(base)
    c, s = math.cos(anatomy.heart_angle), math.sin(anatomy.heart_angle)
    along = (du * c + dv * s) * np.float32(1 / anatomy.heart_a)
    across = (dv * c - du * s) * np.float32(1 / anatomy.heart_b)
    squares = np.maximum(1 - along * along - across * across, 0)
    atrium = ((du + 0.24) / 0.23) ** 2 + ((dv - 0.03) / 0.36) ** 2
    pulmonary = ((du - 0.06) / 0.19) ** 2 + ((dv + 0.30) / 0.34) ** 2
    arch = ((du - 0.02) / 0.16) ** 2 + ((dv + 0.55) / 0.20) ** 2
    for other, weight in ((atrium, 0.8), (pulmonary, 0.7), (arch, 0.6)):
        squares += np.float32(weight) * np.maximum(1 - other, 0)
    thickness[at] = np.sqrt(np.minimum(squares, 1))
    return thickness


def capsule(canvas: Canvas, start: Point, end: Point) -> Field:
    """Distance of each pixel from the line from `start` to `end` (u, v), [rows, columns]."""
    (u0, v0), (u1, v1) = start, end
    du, dv = u1 - u0, v1 - v0
    pu, pv = canvas.u - np.float32(u0), canvas.v - np.float32(v0)
    along = (pu * du + pv * dv) * np.float32(1 / (du * du + dv * dv))
    along = np.clip(along, 0, 1)
    pu, pv = pu - along * np.float32(du), pv - along * np.float32(dv)
    return np.sqrt(pu * pu + pv * pv)


def near(
    canvas: Canvas, points: tuple[Point, ...], radius: float
) -> tuple[tuple[slice, slice], Canvas]:
    """Window of the canvas that reaches `radius` beyond all `points`; see Canvas.window."""
    us, vs = [p[0] for p in points], [p[1] for p in points]
    return canvas.window(min(us) - radius, min(vs) - radius, max(us) + radius, max(vs) + radius)


def arm_line(anatomy: Anatomy, side: int) -> tuple[Point, Point]:
    """Shoulder joint and elbow (u, v) of one side."""
    shoulder = (side * (anatomy.half_width + 0.13), anatomy.apex + 0.14)
    reach = 1.4
    elbow = (
        shoulder[0] + side * reach * math.cos(anatomy.arm_angle),
        shoulder[1] + reach * math.sin(anatomy.arm_angle),
    )
    return shoulder, elbow


def soft_tissue(anatomy: Anatomy, canvas: Canvas, chest: Chest) -> Field:
    """Attenuation of the body without air in the chest, nepers, [rows, columns]."""
    v = canvas.v
    # Torso: neck, the slope of the shoulders, the chest wall, the flanks.
    neck = 0.34 + 0.08 * ramp(v - anatomy.apex + 0.55, 0.3)
    slope = ramp(v - anatomy.apex + 0.30, 0.36)
    flank = chest.lateral + anatomy.wall + 0.08 * ramp(v - 0.5, 0.8)
    shoulders = anatomy.half_width + 0.16 + 0.04 * ramp(v - anatomy.apex, 0.5)
    below = ramp(v - anatomy.apex - 0.20, 0.45)
    outline = neck + slope * (shoulders * (1 - below) + flank * below - neck)
    q = chest.s / outline
    q *= q
    depth = 0.62 + 0.38 * ramp(v - anatomy.apex + 0.30, 0.65) + 0.10 * ramp(v - 0.3, 0.7)
    torso = depth.astype(np.float32) * dome(q * q)

    parts = torso * torso
    for side in (RIGHT, LEFT):
        line = arm_line(anatomy, side)
        # The upper arm starts inside the shoulder, to avoid a visible seam.
        line = ((line[0][0] * 0.72, line[0][1] + 0.06), line[1])
        at, part = near(canvas, line, 0.28)
        arm = np.float32(0.55**2) * np.maximum(
            1 - (capsule(part, *line) * np.float32(1 / 0.26)) ** 2, 0
        )
        # Power mean: torso and arm blend smoothly where they overlap.
        parts[at] = np.sqrt(parts[at] ** 2 + arm * arm)
    at, part = near(canvas, ((anatomy.head_u, anatomy.head_v),), 0.66)
    skull = ((part.u - anatomy.head_u) / 0.58) ** 2 + ((part.v - anatomy.head_v) / 0.64) ** 2
    parts[at] = np.maximum(parts[at], np.float32(0.95) * dome(skull))
    return np.float32(anatomy.thickness) * np.sqrt(parts)


def air_depth(anatomy: Anatomy, canvas: Canvas, chest: Chest) -> Field:
    """Reduction of attenuation by the air in the lungs, nepers, [rows, columns].

    Some lung is behind the heart; near the diaphragm the lung is thin.
    """
    behind = 1 - np.float32(0.86) * np.sqrt(chest.heart)
    thin = 1 - np.float32(0.20) * ramp(0.30 - (chest.diaphragm - canvas.v), 0.35)
    apex = np.float32(0.75) + np.float32(0.25) * ramp(chest.t, 0.40)
    return (np.float32(anatomy.air) * apex) * chest.lungs * np.sqrt(chest.chord) * thin * behind


def other_gas(anatomy: Anatomy, canvas: Canvas) -> Field:
    """Reduction of attenuation by trachea, main bronchi and stomach gas, nepers."""
    carina = (0.01, anatomy.apex + 0.44)
    gas = np.zeros(canvas.shape, np.float32)
    lines = [((0.0, -1.6), carina, 0.062, 0.34)]
    lines += [
        (carina, (side * reach, carina[1] + 0.2), 0.04, 0.18)
        for side, reach in ((RIGHT, 0.20), (LEFT, 0.26))
    ]
    for start, end, radius, depth in lines:
        at, part = near(canvas, (start, end), radius)
        bore = dome((capsule(part, start, end) * np.float32(1 / radius)) ** 2)
        gas[at] = np.maximum(gas[at], np.float32(depth) * bore)
    if anatomy.stomach > 0.05:
        center = (0.50, anatomy.dome + anatomy.dome_drop + 0.10 + anatomy.stomach)
        at, part = near(canvas, (center,), 1.7 * anatomy.stomach)
        du = (part.u - center[0]) / (1.7 * anatomy.stomach)
        dv = (part.v - center[1]) / anatomy.stomach
        gas[at] = np.maximum(gas[at], np.float32(0.40) * np.sqrt(dome(du**2 + dv**2)))
    return gas


def vessel_tree(anatomy: Anatomy, canvas: Canvas, generations: int = 6) -> Field:
    """Branching vessels of both lungs, 0 to 1, [rows, columns].

    Branches are lines that get thinner with each generation. The bronchi use the same tree, because
    they run along the arteries.
    """
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(anatomy.vessel_seed)
    rows, columns = canvas.shape
    # Drawn at twice the size: Pillow's lines have integer widths and hard edges.
    image = Image.new("L", (2 * columns, 2 * rows))
    draw = ImageDraw.Draw(image)
    unit = 2 * canvas.scale
    for side in (RIGHT, LEFT):
        stems = [
            (side * 0.20 * anatomy.half_width, anatomy.apex + 0.58 - 0.03 * side, angle, 0.17)
            for angle in (-1.25, -0.65, -0.1, 0.4, 0.85, 1.2, 1.45)
        ]
        for generation in range(generations):
            width = max(1, round(unit * 0.034 * 0.74**generation))
            shade = round(225 * 0.84**generation)
            draws = rng.uniform(-1, 1, (len(stems), 5)).tolist()
            branches = []
            for (u, v, angle, length), (a, b, c, d, e) in zip(stems, draws, strict=True):
                bend = angle + 0.30 * a
                reach = length * (1 + 0.25 * b)
                end_u = u + side * reach * math.cos(bend)
                end_v = v + reach * math.sin(bend)
                x, y = (u - canvas.u0) * unit, (v - canvas.v0) * unit
                end = ((end_u - canvas.u0) * unit, (end_v - canvas.v0) * unit)
                draw.line((x, y, *end), fill=shade, width=width)
                branches.append((end_u, end_v, bend + 0.24 + 0.25 * c, length * 0.84))
                if e > -0.55:
                    branches.append((end_u, end_v, bend - 0.38 + 0.25 * d, length * 0.76))
            stems = branches[:80]
    field = np.asarray(image.reduce(2), dtype=np.float32) * np.float32(1 / 255)
    return blur(field, max(0.4, 0.006 * canvas.scale))
