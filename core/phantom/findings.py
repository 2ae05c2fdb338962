"""Findings: lobar consolidation (bacterial) and diffuse interstitial pattern (viral).

Both reduce the air in the lung, as the diseases do: consolidation replaces air by fluid, thickened
bronchi and septa displace air along lines. So an opacity is never denser than the tissue around
it, and ribs stay visible through it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.phantom.anatomy import LEFT, RIGHT
from core.phantom.canvas import Canvas, Field, blur, ramp, smooth_noise
from core.phantom.chest import Chest
from schema.labels import BACTERIA, VIRUS


@dataclass(frozen=True)
class Lobe:
    """Positions of consolidations in a lobe.

    Attributes:
      name: the lobe.
      side: RIGHT or LEFT.
      t: range of the center in height of the lung (0 apex, 1 costophrenic angle).
      a: range of the center as a fraction of the way from the mediastinum to the chest wall.
      tall, wide: half axes, as fractions of the height and of the width of the lung.
      floor: height (t) of a fissure that bounds the lobe below; above 1 for none.
      roof: height (t) of a fissure that bounds the lobe above; below 0 for none.
    """

    name: str
    side: int
    t: tuple[float, float]
    a: tuple[float, float]
    tall: float
    wide: float
    floor: float = 2.0
    roof: float = -1.0


LOBES: Final = (
    Lobe("right upper", RIGHT, (0.22, 0.38), (0.40, 0.75), 0.22, 0.55, floor=0.46),
    Lobe("right middle", RIGHT, (0.55, 0.66), (0.20, 0.50), 0.17, 0.50, roof=0.47),
    Lobe("right lower", RIGHT, (0.62, 0.76), (0.35, 0.75), 0.24, 0.55),
    Lobe("left upper", LEFT, (0.22, 0.42), (0.40, 0.75), 0.24, 0.55),
    Lobe("lingula", LEFT, (0.52, 0.62), (0.50, 0.75), 0.18, 0.45),
    Lobe("left lower", LEFT, (0.60, 0.76), (0.55, 0.85), 0.24, 0.50),
)


@dataclass(frozen=True)
class Consolidation:
    """One consolidation.

    Attributes:
      lobe: index into LOBES.
      t, a: center in coordinates of the lung.
      tall, wide: half axes, fractions of the lung.
      density: maximum fraction of air that is replaced, 0 to 1.
      raggedness: irregularity of the border.
      bronchogram: strength of air-filled bronchi inside, 0 to 1.
      seed: seed of the irregularity.
    """

    lobe: int
    t: float
    a: float
    tall: float
    wide: float
    density: float
    raggedness: float
    bronchogram: float
    seed: int


@dataclass(frozen=True)
class InterstitialPattern:
    """A diffuse pattern in both lungs.

    Attributes:
      strength: fraction of air displaced by septa and bronchial walls, 0 to 1.
      streaks: extra weight of the thickened bronchi and vessels.
      haze: ground-glass opacity, fraction of air.
      hyperinflation: lowering of the diaphragm, in units.
      patchiness: unevenness of the distribution.
      seed: seed of the texture.
    """

    strength: float
    streaks: float
    haze: float
    hyperinflation: float
    patchiness: float
    seed: int


@dataclass(frozen=True)
class Findings:
    """Findings of a patient; empty for a normal chest."""

    foci: tuple[Consolidation, ...] = ()
    interstitial: InterstitialPattern | None = None


def sample_findings(rng: np.random.Generator, pathogen: str, min_severity: float = 0.0) -> Findings:
    """Samples the findings of one patient.

    Severity ranges from barely visible (0) to severe (1), so that no classifier is perfect.

    Args:
      rng: random generator.
      pathogen: one of schema.labels.PATHOGENS.
      min_severity: smallest severity, 0 to 1; the distribution is scaled to [min_severity, 1].
    """
    if pathogen == BACTERIA:
        severity = min_severity + (1 - min_severity) * float(rng.beta(1.8, 1.0))
        second = 1 + int(rng.random() < 0.18 + 0.15 * severity)
        lobes = rng.choice(len(LOBES), size=second, replace=False)
        foci = []
        for order, index in enumerate(lobes):
            lobe = LOBES[int(index)]
            size = (1.15 + 0.80 * severity) * float(rng.uniform(0.8, 1.2)) * (0.8 if order else 1)
            foci.append(
                Consolidation(
                    lobe=int(index),
                    t=float(rng.uniform(*lobe.t)),
                    a=float(rng.uniform(*lobe.a)),
                    tall=lobe.tall * size,
                    wide=lobe.wide * size * float(rng.uniform(0.8, 1.15)),
                    density=(0.34 + 0.60 * severity) * (0.8 if order else 1.0),
                    raggedness=float(rng.uniform(0.10, 0.35)),
                    bronchogram=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.45 else 0.0,
                    seed=int(rng.integers(2**31)),
                )
            )
        return Findings(foci=tuple(foci))
    if pathogen == VIRUS:
        severity = min_severity + (1 - min_severity) * float(rng.beta(1.5, 1.3))
        return Findings(
            interstitial=InterstitialPattern(
                strength=0.05 + 0.27 * severity,
                streaks=0.05 + 0.45 * severity,
                haze=0.01 + 0.10 * severity,
                hyperinflation=0.02 + 0.05 * severity + 0.02 * float(rng.standard_normal()),
                patchiness=float(rng.uniform(0.2, 0.6)),
                seed=int(rng.integers(2**31)),
            )
        )
    return Findings()


def consolidation(focus: Consolidation, canvas: Canvas, chest: Chest) -> Field:
    """Fraction of air that one focus replaces, 0 to 1, float32 [rows, columns]."""
    lobe = LOBES[focus.lobe]
    rng = np.random.default_rng(focus.seed)
    room = np.maximum(chest.lateral - chest.medial, 0.05)
    a = (chest.s - chest.medial) / room
    distance = np.sqrt(((chest.t - focus.t) / focus.tall) ** 2 + ((a - focus.a) / focus.wide) ** 2)
    ragged = smooth_noise(rng, canvas, 0.28) * 0.7 + smooth_noise(rng, canvas, 0.12) * 0.3
    edge = 1 - distance + np.float32(focus.raggedness) * ragged
    mask = ramp(edge, 0.55) * (chest.side == lobe.side)
    # Consolidation ends at a fissure, with a sharp, nearly straight border.
    if lobe.floor <= 1:
        mask = mask * ramp(lobe.floor - chest.t + 0.05 * (a - 0.5), 0.035)
    if lobe.roof >= 0:
        mask = mask * ramp(chest.t - lobe.roof - 0.05 * (a - 0.5), 0.035)
    mottle = np.clip(1 - 0.07 * smooth_noise(rng, canvas, 0.07), 0.7, 1.15)
    return np.clip(np.float32(focus.density) * mask * mottle, 0, 0.97).astype(np.float32)


def interstitial_pattern(
    pattern: InterstitialPattern, canvas: Canvas, chest: Chest, tree: Field
) -> tuple[Field, Field]:
    """Returns the fraction of air lost to septa and bronchial walls, and the weight of streaks.

    Args:
      pattern: parameters of the pattern.
      canvas: pixel grid.
      chest: geometry of the chest.
      tree: vessels and bronchi, 0 to 1.

    Returns:
      (loss, streaks): float32 [rows, columns] each; loss 0 to 0.8; streaks multiply the vessels.
    """
    rng = np.random.default_rng(pattern.seed)
    # Ridges of band-limited noise resemble thickened septa.
    net = np.zeros(canvas.shape, np.float32)
    for wavelength, weight in ((0.045, 0.55), (0.085, 0.45)):
        noise = smooth_noise(rng, canvas, wavelength)
        net += np.float32(weight) * np.exp(-((noise / np.float32(0.33)) ** 2))
    hilum_v = -0.18
    near = np.exp(-(((chest.s - 0.35) / 0.42) ** 2) - ((canvas.v - hilum_v - 0.15) / 0.55) ** 2)
    spread = 1 + np.float32(pattern.patchiness) * smooth_noise(rng, canvas, 0.5)
    spread = np.clip(spread, 0.15, 2.0) * (np.float32(0.55) + np.float32(0.65) * near)
    cuffs = np.clip(blur(tree, max(0.6, 0.02 * canvas.scale)) * 1.6, 0, 1)
    loss = spread * (pattern.strength * (net * 0.8 + 0.45 * cuffs) + pattern.haze)
    return np.clip(loss, 0, 0.8).astype(np.float32), (pattern.streaks * spread).astype(np.float32)
