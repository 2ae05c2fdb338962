"""Numbers for Prometheus. Labels hold no name of a file and nothing of an image."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from serving.server.models import Models

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 15.0, 30.0, 60.0)
_BATCH = (1, 2, 4, 8, 16, 24, 32, 64, 128)


class Metrics:
    """The metrics of one server.

    pneumo_requests_total{protocol, method, code}, pneumo_request_seconds{protocol, method},
    pneumo_images_total{decision, status}, pneumo_batch_images, pneumo_under_way,
    pneumo_retries_total, pneumo_model_version, pneumo_version_state{version, state},
    pneumo_inputs_not_logged_total, and Prometheus's own process_*.
    """

    def __init__(self, models: "Models") -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.requests = Counter(
            "pneumo_requests", "Requests by outcome.", ("protocol", "method", "code"), registry=r
        )
        self.seconds = Histogram(
            "pneumo_request_seconds", "From the whole request to its answer.",
            ("protocol", "method"), buckets=_SECONDS, registry=r,
        )  # fmt: skip
        self.images = Counter(
            "pneumo_images", "Images by decision and status.", ("decision", "status"), registry=r
        )
        self.batch = Histogram(
            "pneumo_batch_images", "Images computed together.", buckets=_BATCH, registry=r
        )
        self.under_way = Gauge("pneumo_under_way", "Requests under way.", registry=r)
        self.retries = Counter(
            "pneumo_retries", "Requests asked again after a replica was lost.", registry=r
        )
        self.not_logged = Counter(
            "pneumo_inputs_not_logged", "Images that the log of inputs left out.", registry=r
        )
        ProcessCollector(registry=r)
        r.register(_Versions(models))

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


class _Versions(Collector):
    """States of versions, read when they are asked for."""

    def __init__(self, models: "Models") -> None:
        self.models = models

    def collect(self) -> Iterable[GaugeMetricFamily]:
        newest = GaugeMetricFamily("pneumo_model_version", "Version that answers; 0: none.")
        newest.add_metric([], next(iter(self.models.available), 0))
        yield newest
        states = GaugeMetricFamily(
            "pneumo_version_state", "1 for the state of a version.", labels=("version", "state")
        )
        for number, entry in self.models.entries.items():
            state = "BROKEN" if entry.error else entry.state.name
            states.add_metric([str(number), state], 1)
        yield states
