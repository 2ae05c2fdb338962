"""Prometheus metrics. Labels contain no file names and no image data."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from serving.server.models import ModelVersions

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 15.0, 30.0, 60.0)
_BATCH = (1, 2, 4, 8, 16, 24, 32, 64, 128)


class ServerMetrics(Collector):
    """Prometheus metrics of one server.

    pneumo_requests_total{protocol, method, code}, pneumo_request_seconds{protocol, method},
    pneumo_images_total{decision, status}, pneumo_batch_images, pneumo_under_way,
    pneumo_model_version, pneumo_version_state{version, state}, pneumo_inputs_not_logged_total, and
    Prometheus's own process_*.
    """

    def __init__(self, models: ModelVersions) -> None:
        self._models = models
        r = self.registry = CollectorRegistry()
        by = ("protocol", "method")
        self.requests = Counter("pneumo_requests", "Requests.", (*by, "code"), registry=r)
        self.seconds = Histogram(
            "pneumo_request_seconds", "Request time.", by, buckets=_SECONDS, registry=r
        )
        self.images = Counter("pneumo_images", "Images.", ("decision", "status"), registry=r)
        self.batch = Histogram("pneumo_batch_images", "Batch size.", buckets=_BATCH, registry=r)
        self.active = Gauge("pneumo_under_way", "Active predict requests.", registry=r)
        self.not_logged = Counter("pneumo_inputs_not_logged", "Images not logged.", registry=r)
        ProcessCollector(registry=r)
        r.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Returns the states of the versions at the time of the scrape."""
        newest = GaugeMetricFamily("pneumo_model_version", "Newest version served; 0: none.")
        newest.add_metric([], next(iter(self._models.available), 0))
        labels = ("version", "state")
        states = GaugeMetricFamily("pneumo_version_state", "1: the state.", labels=labels)
        for number, version in self._models.versions.items():
            state = "BROKEN" if version.error else version.state.name
            states.add_metric([str(number), state], 1)
        return newest, states
