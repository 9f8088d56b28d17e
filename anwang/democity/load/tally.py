"""What a load counts, and how it is told."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

Report = dict[str, object]
MOST_REASONS = 40


class Histogram:
    """Latencies in steps of 0.25 ms, above 25 ms of 5 ms: percentiles without keeping each one."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.count = 0

    def add(self, seconds: float) -> None:
        """One latency."""
        micros = seconds * 1e6
        step = int(micros // 250) if micros < 25_000 else 100 + int((micros - 25_000) // 5_000)
        self._bins[step] += 1
        self.count += 1

    def percentile_ms(self, share: float) -> float | None:
        """The latency that this share of all stays below, rounded up to its step; None without any."""
        left = share * self.count
        for step in sorted(self._bins):
            left -= self._bins[step]
            if left <= 0:
                return (step + 1) * 0.25 if step < 100 else 25 + (step - 99) * 5.0
        return None


class Tally:
    """The counters of a load. reasons: refusals by status and reason; beyond MOST_REASONS kinds, as 'other'."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.register_times, self.keepalive_times = Histogram(), Histogram()

    def refused(self, reason: str) -> None:
        """A request of ours was answered with anything but 200."""
        self.counts["refused"] += 1
        self.reasons[reason if reason in self.reasons or len(self.reasons) < MOST_REASONS else "other"] += 1

    def report(
        self, seconds: float, *, devices: int, registered: int, waiting: int, media: Mapping[str, int], is_last: bool
    ) -> Report:
        """Counts, rates and latencies so far. lost: requests that nobody answered within 32 s."""
        counts, register, keepalive = self.counts, self.register_times, self.keepalive_times
        return {
            "event": "result" if is_last else "progress",
            "seconds": round(seconds, 1),
            "devices": devices,
            "registered": registered,
            "logged_out": counts["logged_out"],
            "register_per_s": round(register.count / max(seconds, 0.001), 1),
            "keepalive_per_s": round(keepalive.count / max(seconds, 0.001), 1),
            "registrations": register.count,
            "keepalives": counts["keepalives"],
            "keepalives_answered": keepalive.count,
            "sent": counts["sent"],
            "resent": counts["resent"],
            "lost": counts["lost"],
            "refused": counts["refused"],
            "refused_by_reason": dict(self.reasons.most_common()),
            "disconnected": counts["disconnected"],
            "asked": counts["asked"],
            "answered": counts["answered"],
            "notices": counts["notices"],
            "waiting": waiting,
            **media,
            "register_p50_ms": register.percentile_ms(0.5),
            "register_p99_ms": register.percentile_ms(0.99),
            "keepalive_p50_ms": keepalive.percentile_ms(0.5),
            "keepalive_p99_ms": keepalive.percentile_ms(0.99),
            "cpu_s": round(time.process_time(), 1),
        }


def summary(report: Report) -> str:
    """The last report for people."""

    def percentiles(name: str) -> str:
        found = report[f"{name}_p50_ms"], report[f"{name}_p99_ms"]
        return "" if None in found else f"; answered within {found[0]:g} ms (half), {found[1]:g} ms (99 %)"

    told = report
    size = float(str(told["media_bytes"])) / 1e6
    lines = [
        "{devices} devices for {seconds} s, {cpu_s} s of processor time".format(**told),
        "  registered     {registered} at the end, {registrations} registrations".format(**told)
        + percentiles("register"),
        "  keep-alives    {keepalives_answered} of {keepalives} answered".format(**told) + percentiles("keepalive"),
        "  questions      {asked} asked by the platform, {answered} answers taken".format(**told),
        "  media          {calls} calls, {frames} frames, ".format(**told) + f"{size:.1f} MB sent",
        "  lost           {lost} requests without an answer, {resent} sent again".format(**told),
        "  refused        {refused}".format(**told),
    ]
    reasons = report["refused_by_reason"]
    if isinstance(reasons, dict):
        lines += [f"    {count:>8} × {reason}" for reason, count in reasons.items()]
    if report["disconnected"]:
        lines.append(f"  disconnected   {report['disconnected']} connections broken")
    if report["notices"]:
        lines.append(f"  notices        {report['notices']} of catalogue changes")
    if report["logged_out"]:
        lines.append(f"  logged out     {report['logged_out']}")
    return "\n".join(lines)


def progress(report: Report) -> str:
    """One line that says how it goes."""
    return (
        f"{report['seconds']:>7} s  {report['registered']}/{report['devices']} registered  "
        f"{report['keepalives_answered']} keep-alives ({report['keepalive_per_s']}/s)  {report['streams']} streams  "
        f"{report['refused']} refused  {report['lost']} lost"
    )
