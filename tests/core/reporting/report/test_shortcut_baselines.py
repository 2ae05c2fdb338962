import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.reporting.report.shortcut_baselines import SETS, shortcut_check
from schema.labels import BINARY


def manifest(folder: Path, gap: float, splits: tuple[str, ...] = ("train", "val", "test")) -> Path:
    """Normal images have larger files by `gap` standard deviations; nothing else separates them."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for i in range(600):
        normal = i % 3 == 0
        stats = {name: float(rng.normal()) for names in SETS.values() for name in names}
        rows.append(
            {
                "split": splits[i % 7 % len(splits)],
                "pathogen": "normal" if normal else ("bacteria", "virus")[i % 2],
                "patient_id": f"p{i // 2}",
                "bytes": 7000 + int(100 * rng.normal() + 100 * gap * normal),
                "height": 224,
                "width": 224,
                "stats": {name: value for name, value in stats.items() if "/" in name},
            }
        )
    file = folder / "manifest.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(("gap", "low", "high"), [(0.0, 0.3, 0.65), (2.0, 0.85, 0.99)])
def test_shortcut_is_detected(gap: float, low: float, high: float, tmp_path: Path) -> None:
    found = shortcut_check(manifest(tmp_path, gap), BINARY)
    assert found is not None
    assert shortcut_check(tmp_path / "none.jsonl", BINARY) is None
    assert shortcut_check(manifest(tmp_path, 1.0, ("train", "test")), BINARY) is None
    by_name = {row["what"]: row for row in found}
    assert set(by_name) == set(SETS)
    assert low < by_name["size of the file in bytes"]["auc"] < high
    assert 0.3 < by_name["six gray-level statistics"]["auc"] < 0.7
    assert by_name["height and width in pixels"]["auc"] == 0.5  # all images have one size
    for row in found:
        assert row["low"] <= row["auc"] <= row["high"]
