"""Random parameters of the patient's anatomy and of each exposure.

The unit of length is half the inner width of an average thorax (about 10 cm in a small child). `u`
increases from left to right in the image, so the patient's right has negative `u`; `v` increases
downwards. The origin is the middle of the chest.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

RIGHT: Final = -1  # side of the patient, as the sign of u
LEFT: Final = 1


@dataclass(frozen=True)
class Anatomy:
    """Anatomy of one patient, shared by all images of the patient.

    Attributes:
      age: years, 0.5 to 6; younger children have a broader, shorter chest and a larger thymus.
      half_width: inner half width of the thorax at its base.
      apex: v of the top of the lungs.
      dome: v of the top of the diaphragm on the right side.
      dome_drop: how much lower the left dome of the diaphragm is.
      sulcus: depth of the costophrenic angle below the dome.
      wall: thickness of the soft tissue of the chest wall.
      thickness: attenuation of the middle of the torso without air, in nepers.
      air: reduction of attenuation by the full depth of a lung, in nepers.
      rib_spacing: distance of neighboring ribs at the spine.
      rib_tilt: drop of a rib from the spine to the side of the chest.
      rib_half_width: half the height of a rib.
      bone: relative density of bone.
      heart_u, heart_v, heart_a, heart_b, heart_angle: ellipse of the heart (radian).
      thymus: half width that the thymus adds to the upper mediastinum.
      spine_half_width: half width of a vertebral body.
      scoliosis: lateral amplitude of the curve of the spine.
      vessel_density: strength of the vascular markings.
      arm_angle: direction of the upper arms, radian below the horizontal; negative is raised.
      head_u, head_v: center of the head, mostly outside the image.
      stomach: size of the gas bubble in the stomach; 0 for none.
      vessel_seed: seed of the branching of the vessels.
    """

    age: float
    half_width: float
    apex: float
    dome: float
    dome_drop: float
    sulcus: float
    wall: float
    thickness: float
    air: float
    rib_spacing: float
    rib_tilt: float
    rib_half_width: float
    bone: float
    heart_u: float
    heart_v: float
    heart_a: float
    heart_b: float
    heart_angle: float
    thymus: float
    spine_half_width: float
    scoliosis: float
    vessel_density: float
    arm_angle: float
    head_u: float
    head_v: float
    stomach: float
    vessel_seed: int


@dataclass(frozen=True)
class Exposure:
    """One exposure of a patient.

    Attributes:
      aspect: width / height of the image.
      field: width of the image in units of anatomy.
      shift_u, shift_v: center of the field.
      roll: rotation in the image plane, radian.
      yaw: rotation of the patient, as relative difference of the widths of the chest halves.
      breath: depth of inspiration; moves the diaphragm, in units.
      photons: quanta per pixel without attenuation, at a width of 320 pixels.
      scatter: scattered fraction of the signal.
      black, white: jitter of the window bounds that are shown as 0 and 255.
      gamma: exponent of the tone curve.
      sharpness: weight of the edge enhancement of the scanner.
      collimation: widths (left, top, right, bottom) of the shutter as fractions; 0 for none.
      marker: "R", "L" or "" (none).
      marker_at: position of the marker as fractions of width and height.
      marker_size: height of the letter as a fraction of the height.
    """

    aspect: float
    field: float
    shift_u: float
    shift_v: float
    roll: float
    yaw: float
    breath: float
    photons: float
    scatter: float
    black: float
    white: float
    gamma: float
    sharpness: float
    collimation: tuple[float, float, float, float]
    marker: str
    marker_at: tuple[float, float]
    marker_size: float


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Samples the anatomy of a patient."""

    def normal(mean: float, sd: float) -> float:
        return float(mean + sd * np.clip(rng.standard_normal(), -2.2, 2.2))

    age = float(rng.uniform(0.5, 6.0))
    growth = (age - 0.5) / 5.5
    apex = normal(-0.74 - 0.10 * growth, 0.03)
    return Anatomy(
        age=age,
        half_width=normal(1.0, 0.04),
        apex=apex,
        dome=normal(0.47 + 0.10 * growth, 0.05),
        dome_drop=normal(0.06, 0.03),
        sulcus=normal(0.30, 0.03),
        wall=normal(0.15, 0.035),
        thickness=normal(3.0 + 0.2 * growth, 0.15),
        air=normal(1.85, 0.12),
        rib_spacing=normal(0.172 + 0.012 * growth, 0.006),
        rib_tilt=normal(0.30 + 0.06 * growth, 0.04),
        rib_half_width=normal(0.029, 0.003),
        bone=normal(0.85 + 0.25 * growth, 0.08),
        heart_u=normal(0.15, 0.04),
        heart_v=normal(0.26 + 0.08 * growth, 0.03),
        heart_a=normal(0.50 - 0.03 * growth, 0.04),
        heart_b=normal(0.42 - 0.04 * growth, 0.03),
        heart_angle=normal(0.62, 0.12),
        thymus=max(0.0, normal(0.14 * (1 - growth), 0.05)),
        spine_half_width=normal(0.115, 0.008),
        scoliosis=normal(0.0, 0.012),
        vessel_density=normal(1.0, 0.22),
        arm_angle=normal(0.35, 0.5),
        head_u=normal(0.0, 0.12),
        head_v=normal(-1.60, 0.10),
        stomach=max(0.0, normal(0.13, 0.10)),
        vessel_seed=int(rng.integers(2**31)),
    )


def sample_exposure(rng: np.random.Generator) -> Exposure:
    """Samples an exposure, independently of the diagnosis."""

    def normal(mean: float, sd: float) -> float:
        return float(mean + sd * np.clip(rng.standard_normal(), -2.2, 2.2))

    shutter = rng.uniform(0.01, 0.045, 4) * (rng.random(4) < 0.6)
    collimated = bool(rng.random() < 0.25)
    marker = str(rng.choice(["R", "L", ""], p=[0.70, 0.22, 0.08]))
    # The marker is on the side that it names: the patient's right is on the left of the image.
    margin = rng.uniform(0.035, 0.10)
    return Exposure(
        aspect=float(rng.uniform(1.10, 1.45)),
        field=normal(2.50, 0.10),
        shift_u=normal(0.0, 0.05),
        shift_v=normal(-0.02, 0.04),
        roll=normal(0.0, 0.035),
        yaw=normal(0.0, 0.035),
        breath=normal(0.0, 0.05),
        photons=float(np.exp(rng.uniform(np.log(4e4), np.log(2.5e5)))),
        scatter=float(rng.uniform(0.03, 0.09)),
        black=normal(0.0, 1.0),
        white=normal(0.0, 1.0),
        gamma=normal(1.0, 0.10),
        sharpness=float(rng.uniform(0.2, 0.9)),
        collimation=tuple(float(x) for x in shutter) if collimated else (0.0, 0.0, 0.0, 0.0),  # type: ignore[arg-type]
        marker=marker,
        marker_at=(float(1 - margin if marker == "L" else margin), float(rng.uniform(0.07, 0.4))),
        marker_size=float(rng.uniform(0.045, 0.085)),
    )
