"""Prometheus metrics of the whole platform, read from the parts when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anwang.gateways.gb28181.subscriptions import Topic
from anwang.runtime import machine

if TYPE_CHECKING:
    from anwang.app.build import Platform


class PlatformMetrics(Collector):
    """Collects on demand; nothing is counted twice."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        p = self._platform
        yield GaugeMetricFamily(
            "anwang_resident_bytes", "Resident memory of the main process", machine.resident_bytes()
        )
        recorded, wanted = p.recorder.counts()
        yield GaugeMetricFamily("anwang_recorded_streams", "Streams being recorded", recorded)
        yield GaugeMetricFamily("anwang_planned_streams", "Streams that the plans want recorded", wanted)
        yield CounterMetricFamily("anwang_recorded_bytes", "Bytes of sealed segments", p.recorder.recorded_bytes)
        yield CounterMetricFamily(
            "anwang_recording_overruns", "Times a disk did not keep up with a recording", p.streams.overruns
        )
        yield CounterMetricFamily("anwang_media_child_deaths", "Media processes that died", p.children.deaths)
        yield GaugeMetricFamily(
            "anwang_media_children_apart", "Media processes for streams that ended others", p.children.apart
        )
        yield CounterMetricFamily("anwang_event_recordings", "Recordings that an event began", p.recorder.calls)
        yield CounterMetricFamily(
            "anwang_event_recordings_rested",
            "Events that prolonged no recording, because it had lasted as long as its plan allows",
            p.recorder.rested,
        )
        yield _labelled("anwang_signals", "Reports of devices about their points", "kind", p.signals.heard_of)
        yield CounterMetricFamily(
            "anwang_signals_merged", "Reports that joined a mark of the same minute", p.signals.merged
        )
        yield _labelled(
            "anwang_signals_lost",
            "Reports that left no mark",
            "why",
            {
                "unwritten": p.signals.unmarked,
                "crowded": p.heard.dropped,
                "no point": p.heard.unplaced,
            },
        )
        yield CounterMetricFamily(
            "anwang_signal_write_failures", "Writes of marks that failed and were tried again", p.signals.failures
        )
        yield GaugeMetricFamily("anwang_signals_waiting", "Marks that wait to be written", p.signals.waiting)
        feeds = p.streams.feeds()
        yield GaugeMetricFamily("anwang_open_streams", "Streams open now", len(feeds))
        flows = [feed.flow for feed in feeds if feed.flow is not None]
        lost = sum(flow.lost for flow in flows)
        yield GaugeMetricFamily("anwang_open_streams_lost_packets", "Packets lost on streams open now", lost)
        reordered = sum(flow.reordered for flow in flows)
        yield GaugeMetricFamily(
            "anwang_open_streams_reordered_packets", "Packets out of order on streams open now", reordered
        )
        malformed = sum(flow.malformed for flow in flows)
        yield GaugeMetricFamily(
            "anwang_open_streams_malformed_packets", "Packets that were no RTP on streams open now", malformed
        )
        senseless = sum(flow.skipped_bytes for flow in flows)
        yield GaugeMetricFamily(
            "anwang_open_streams_senseless_bytes", "Bytes skipped as senseless on streams open now", senseless
        )
        incomplete = sum(flow.dropped_units for flow in flows)
        yield GaugeMetricFamily(
            "anwang_open_streams_incomplete_pictures", "Incomplete pictures dropped on streams open now", incomplete
        )
        skipped = sum(flow.dropped for flow in flows)
        yield GaugeMetricFamily(
            "anwang_open_streams_skipped_fragments", "Fragments that viewers too slow for them skipped", skipped
        )
        conversions = p.conversions
        yield GaugeMetricFamily("anwang_conversions", "Conversions to H.264 running now", conversions.used)
        yield GaugeMetricFamily("anwang_conversions_most", "Conversions to H.264 allowed at once", conversions.most)
        yield CounterMetricFamily(
            "anwang_conversions_refused", "Conversions refused for want of room", conversions.refused
        )
        yield CounterMetricFamily("anwang_conversion_cpu_seconds", "CPU that live conversions cost", conversions.cpu_s)
        yield CounterMetricFamily("anwang_converted_pieces", "Pieces of recordings converted", conversions.pieces)
        yield CounterMetricFamily(
            "anwang_events_dropped", "Events never published, for want of room or of a bus", p.notices.dropped
        )
        yield CounterMetricFamily("anwang_play_traces_refused", "Play traces beyond the day's bound", p.plays.refused)
        yield GaugeMetricFamily(
            "anwang_garbage_objects", "Objects of deleted recordings still to be deleted", p.upkeep.left_objects
        )
        forgotten = CounterMetricFamily("anwang_upkeep_forgotten", "Old rows that upkeep deleted", labels=["what"])
        for what in ("plays", "gaps", "marks"):
            forgotten.add_metric([what], p.upkeep.forgotten[what])
        yield forgotten
        failures = CounterMetricFamily(
            "anwang_failed_tasks",
            "Tasks of recording and upkeep that failed and were tried again",
            labels=["part", "task"],
        )
        for part, counts in (("recording", p.recorder.failures), ("upkeep", p.upkeep.failures)):
            for task, count in counts.items():
                failures.add_metric([part, task], count)
        yield failures
        yield GaugeMetricFamily(
            "anwang_segments_waiting", "Sealed segments that wait for the index", p.recorder.waiting
        )
        yield GaugeMetricFamily(
            "anwang_state_changes_waiting", "State changes not written to the series yet", p.history.waiting
        )
        yield CounterMetricFamily("anwang_state_changes_lost", "State changes dropped for want of room", p.history.lost)
        yield GaugeMetricFamily("anwang_exports_waiting", "Export packages that wait for their turn", p.making.waiting)
        yield CounterMetricFamily("anwang_export_failures", "Export packages that failed", p.making.failures)
        yield GaugeMetricFamily(
            "anwang_requests_overdue",
            "Requests to see recordings, and complaints, that are overdue",
            p.requests.overdue,
        )
        yield GaugeMetricFamily(
            "anwang_assessments_overdue", "Impact assessments that are overdue for review", p.assessments.overdue
        )
        yield GaugeMetricFamily(
            "anwang_filings_overdue", "Video systems whose filing with the police is overdue", p.duties.overdue
        )
        retention = p.retention
        yield CounterMetricFamily("anwang_retention_deleted", "Expired objects deleted", retention.deleted)
        yield CounterMetricFamily("anwang_retention_deleted_bytes", "Their bytes", retention.deleted_bytes)
        yield CounterMetricFamily("anwang_retention_failures", "Runs of retention that failed", retention.failures)
        yield CounterMetricFamily(
            "anwang_retention_report_failures", "Daily reports of retention that failed", p.retention_reports.failures
        )
        yield GaugeMetricFamily(
            "anwang_retention_kept", "Objects past their time that a hold keeps", sum(retention.last.held.values())
        )
        yield GaugeMetricFamily(
            "anwang_retention_behind", "Keepers with more to delete in the run that goes on", len(retention.last.behind)
        )
        devices = GaugeMetricFamily("anwang_devices", "Devices by what is believed of them", labels=["state"])
        for state, count in p.registry.live.device_counts().items():
            devices.add_metric([state.value], count)
        yield devices
        yield from self._people()
        yield from self._stores()
        yield CounterMetricFamily("anwang_segments_unindexed", "Recorded segments left unindexed", p.recorder.dropped)
        yield CounterMetricFamily(
            "anwang_pictures_refused", "Pictures not decoded for want of room", p.decoders.refused
        )
        yield CounterMetricFamily("anwang_uploads_refused", "Devices' uploads that were refused", p.door.refused)
        gateway = p.gateway
        if gateway is None:
            return
        yield GaugeMetricFamily(
            "anwang_sip_registered_devices", "Devices with a valid registration", len(gateway.sessions)
        )
        yield CounterMetricFamily("anwang_sip_keepalives", "Keep-alives taken", gateway.keepalives)
        yield CounterMetricFamily("anwang_sip_keepalives_fast", "Keep-alives on the fast path", gateway.fast)
        yield CounterMetricFamily(
            "anwang_sip_registrations", "Registrations taken anew", gateway.arrivals.registrations
        )
        yield CounterMetricFamily(
            "anwang_sip_catalogue_notices", "Notices of catalogue changes", gateway.notices.catalogues
        )
        yield CounterMetricFamily(
            "anwang_sip_unhandled", "Messages left unhandled for want of room", gateway.notices.refused_tasks
        )
        yield CounterMetricFamily("anwang_sip_refusals", "Requests refused", gateway.refusals.total)
        yield CounterMetricFamily(
            "anwang_sip_flooding", "Requests of senders who asked too much", gateway.floods.refused
        )
        yield CounterMetricFamily(
            "anwang_sip_refusals_forgotten",
            "Refused peers no longer listed for want of room",
            gateway.refusals.forgotten,
        )
        yield CounterMetricFamily(
            "anwang_sip_capture_overruns", "Messages that a slow watcher of a capture missed", gateway.capture.overrun
        )
        yield _labelled(
            "anwang_sip_turns_refused",
            "Devices whose turn was refused because too many waited",
            "work",
            {
                "admission": gateway.arrivals.strangers.refused,
                "introduction": gateway.arrivals.introductions.refused,
                "catalogue": gateway.catalogues.refused,
            },
        )
        yield _labelled(
            "anwang_sip_catalogues",
            "Catalogue answers taken, whole or in part",
            "extent",
            {"complete": gateway.catalogues.complete, "partial": gateway.catalogues.partial},
        )
        yield _labelled("anwang_sip_alarms", "Alarm notices by what became of them", "became", gateway.notices.alarms)
        yield CounterMetricFamily(
            "anwang_sip_positions_unread", "Positions without a readable place", gateway.notices.positions_unread
        )
        yield _labelled(
            "anwang_sip_strays",
            "Answers that nobody waits for, any more",
            "of",
            {"queries": gateway.questions.strays, "record searches": gateway.past.strays},
        )
        living = GaugeMetricFamily("anwang_sip_subscriptions", "Subscriptions at devices", labels=["topic"])
        for topic in Topic:
            living.add_metric([topic.value], gateway.subscriptions.count(topic))
        yield living
        yield CounterMetricFamily(
            "anwang_sip_subscriptions_refused",
            "Subscriptions that a device did not take",
            gateway.subscriptions.refused,
        )
        yield GaugeMetricFamily(
            "anwang_sip_stranger_connections", "TCP connections nobody registered over", gateway.sockets.strangers
        )
        yield CounterMetricFamily(
            "anwang_sip_connections_refused", "TCP connections refused for their number", gateway.sockets.crowded
        )
        yield CounterMetricFamily(
            "anwang_sip_connections_outstayed", "TCP connections closed unregistered", gateway.sockets.outstayed
        )
        yield CounterMetricFamily("anwang_sip_unsent", "Messages that could not be sent", gateway.sockets.dropped)
        yield CounterMetricFamily(
            "anwang_sip_calls_left", "Calls of the run before that were ended", gateway.calls.left
        )
        yield CounterMetricFamily(
            "anwang_sip_calls_unkept",
            "Calls not remembered for the next run for want of room",
            gateway.calls.kept.unkept,
        )
        yield CounterMetricFamily("anwang_sip_receive_faults", "Times that receiving failed", gateway.sockets.faults)

    def _people(self) -> Iterator[Metric]:
        p = self._platform
        yield _labelled("anwang_sign_ins_refused", "Sign-ins refused", "why", p.governance.refused_sign_ins())
        anchor = p.governance.ledger.last_anchor
        yield GaugeMetricFamily(
            "anwang_ledger_anchored_timestamp_seconds",
            "When the ledger's last anchor was signed, seconds since 1970; 0: never",
            anchor.at / 1_000_000 if anchor else 0,
        )
        copy = p.governance.copy
        yield GaugeMetricFamily(
            "anwang_ledger_uncopied", "Rows of the ledger that wait for its searchable copy", copy.behind if copy else 0
        )
        yield GaugeMetricFamily("anwang_anomalies_open", "Unusual looks that wait for an auditor", p.watch.open)
        yield CounterMetricFamily("anwang_anomalies_found", "Unusual looks found in the ledger", p.watch.found)
        yield GaugeMetricFamily("anwang_event_streams", "Event streams open now", p.events.open_now)
        yield CounterMetricFamily(
            "anwang_event_streams_refused", "Event streams turned away for their number", p.events.refused
        )
        yield CounterMetricFamily(
            "anwang_event_streams_lagged", "Times a browser was told that it missed events", p.events.lagged
        )

    def _stores(self) -> Iterator[Metric]:
        stores = self._platform.stores
        series = stores.series.counters()
        refused = {
            "state": stores.state.refused,
            "media index": stores.media.refused,
            "series queries": series["queries_refused"],
            "series inserts": series["inserts_refused"],
            "objects": stores.objects.refused,
            "ledger": self._platform.governance.ledger.refused,
        }
        yield _labelled("anwang_store_calls_refused", "Calls that found too many waiting", "store", refused)
        waiting = GaugeMetricFamily("anwang_store_calls_waiting", "Calls that wait or run", labels=["store"])
        for name, count in (
            ("series queries", series["queries_waiting"]),
            ("series inserts", series["inserts_waiting"]),
            ("objects", stores.objects.waiting),
        ):
            waiting.add_metric([name], count)
        yield waiting
        yield CounterMetricFamily(
            "anwang_bus_lagged", "Times a subscriber fell behind what the bus keeps", stores.bus.lagged
        )


def _labelled(name: str, sentence: str, label: str, counts: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, sentence, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def register(platform: Platform) -> None:
    """Add the collector to the platform's registry."""
    platform.metrics.register(PlatformMetrics(platform))
