import numpy as np
import pytest

from core.metrics import registry
from core.metrics.binary import binary_metrics
from core.metrics.boxes.summary import box_statistics
from core.metrics.multiclass import class_metrics
from core.metrics.registry import METRICS, explanations, metric_name


def test_every_computed_metric_is_described() -> None:
    labels, scores = np.array([0, 1, 2]), np.eye(3)
    boxes = [np.zeros((0, 4))]
    computed = {
        *binary_metrics(labels > 0, scores[:, 1], 0.5),
        *class_metrics(labels, scores, ("a", "b", "c")),
        *box_statistics(boxes, boxes, [np.zeros(0)], 0.5)[0](np.ones((1, 1))),
    }
    assert {name for name in computed if "/" not in name} <= METRICS.keys()


@pytest.mark.parametrize(
    "listed",
    [value for name, value in vars(registry).items() if name.isupper() and name != "METRICS"],
)
def test_every_listed_metric_is_described(listed: tuple[str, ...]) -> None:
    assert METRICS.keys() >= set(listed)


def test_a_metric_has_a_name_and_an_explanation() -> None:
    assert explanations().keys() == METRICS.keys()
    assert metric_name("auc_pr") == "AUC-PR"
    assert metric_name("recall/VIRUS") == "Recall, VIRUS"
    assert metric_name("auc/A|B") == "AUC, A against B"
    assert metric_name("new_metric") == "new metric"
    assert "VIRUS and BACTERIA" in explanations(pair=["VIRUS", "BACTERIA"])["pairwise_auc"]
