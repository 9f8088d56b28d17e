"""Prometheus metrics of drifts, read when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from anwang.registry.drift.service import Drifts


class DriftMetrics(Collector):
    """Collects on demand; nothing is counted twice."""

    def __init__(self, drifts: Drifts) -> None:
        self._drifts = drifts

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        yield CounterMetricFamily(
            "anwang_device_configurations", "Devices' answers about their configuration", self._drifts.answers
        )
        opened = CounterMetricFamily("anwang_device_drifts", "Drifts of devices that opened, by kind", labels=["kind"])
        for kind, count in self._drifts.opened.items():
            opened.add_metric([kind.value], count)
        yield opened
