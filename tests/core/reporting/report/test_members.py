"""Pages of an ensemble over several backbones."""

from dataclasses import replace
from typing import Any

from tests.core.reporting.report.artificial_report import full_report

TUNE = {"epochs": 3, "learning_rate": 0.001, "view_size": None}


def test_members_of_several_backbones(render: Any) -> None:
    given = full_report()
    weights = {"kind": "file", "file": "/secret/x.h5", "sha256": "12ab"}
    training = {
        **(given.training or {}),
        "backbone": "Xception + VGG16",
        "backbones": [
            {"backbone": "Xception", "weights": weights, "layer": "add_2", "fine_tune": TUNE},
            {"backbone": "VGG16", "weights": {"kind": "random"}, "layer": "top"},
        ],
        "members": [
            {"backbone": name, "seed": seed}
            for name, seed in (("Xception", 0), ("VGG16", 0), ("VGG16", 1))
        ],
        "distill": {"weight": 0.5, "temperature": 2.0, "teacher": "7"},
    }
    page, numbers = render(replace(given, training=training))
    for text in (
        "Backbone 1</td><td>Xception, trained from layer add_2 upward, frozen below: 3 epochs",
        "Backbone 2</td><td>VGG16, frozen",
        "RANDOM WEIGHTS: VGG16",
        "Correlation of log-odds on validation",
        "Xception, seed 0 and VGG16, seed 1",
        "weight 0.5, temperature 2.0, teacher 7",
    ):
        assert text in page
    assert len(numbers["agreement"]) == 3
