"""Synthetic rows of the log of `pneumo serve --log-inputs`."""

from typing import Any

import numpy as np


def log_rows(n: int, seed: int, **shift: float) -> list[dict[str, Any]]:
    """Images of one population; `gain` on brightness, `side` on the size, `ill` on the score."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        score = float(draw.beta(0.5, 0.5 / shift.get("ill", 1.0)))
        found.append(
            {
                "time": 1.8e9 + seed,
                "version": "1",
                "status": "OK",
                "height": round(float(draw.normal(1000, 60)) * shift.get("side", 1.0)),
                "width": round(float(draw.normal(1300, 80)) * shift.get("side", 1.0)),
                "brightness": float(draw.normal(120, 18)) * shift.get("gain", 1.0),
                "score": score,
                "decision": "POSITIVE" if score >= 0.5 else "NEGATIVE",
                "embedding": draw.normal(shift.get("gain", 1.0), size=6).tolist(),
            }
        )
    return found
