"""Prometheus metrics of the registry, read when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anwang.registry.service import Registry


class RegistryMetrics(Collector):
    """Collects on demand; nothing is counted twice."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        registry, survey = self._registry, self._registry.reviews.survey
        yield GaugeMetricFamily("anwang_waiting_devices", "Devices on the waiting list", registry.roll.waiting)
        yield CounterMetricFamily(
            "anwang_waiting_refused", "Devices turned away because the waiting list was full", registry.refused_waiting
        )
        yield CounterMetricFamily("anwang_evidence", "Evidence taken", registry.live.noted)
        yield CounterMetricFamily(
            "anwang_evidence_strange", "Evidence about subjects nobody knows, dropped", registry.live.strange
        )
        positions = CounterMetricFamily(
            "anwang_positions", "Positions of moving points by what became of them", labels=["became"]
        )
        for became, count in registry.told.positions.items():
            positions.add_metric([became.value], count)
        yield positions
        yield CounterMetricFamily(
            "anwang_device_reports_refused", "Devices' reports without room", registry.told.reports_refused
        )
        yield GaugeMetricFamily(
            "anwang_catalogue_notices_waiting", "Entries of catalogue notices to be written", registry.notices.size
        )
        yield CounterMetricFamily(
            "anwang_catalogue_notices_refused", "Entries of catalogue notices without room", registry.notices.refused
        )
        yield CounterMetricFamily(
            "anwang_catalogue_notices_lost", "Times that notices of a device were not written", registry.lost_notices
        )
        yield GaugeMetricFamily("anwang_survey_points", "Points of the last survey of camera files", survey.total)
        yield GaugeMetricFamily("anwang_survey_points_done", "Points that it has looked at", survey.done)
