"""Report of a load measurement, as JSON object or text."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.client.cli.load_generator import Measurement

PARTS = ("late", "encoding", "waiting", "decoding")


def build_report(measured: Measurement, texts_per_request: int | None) -> dict[str, Any]:
    """Build the report.

    Args:
        measured: A measurement.
        texts_per_request: Texts in each request; None where requests are not texts.

    Returns:
        Rates in 1/s, latency percentiles of answered requests in ms, errors by status, and shares
        of the latency (summing to 1).
    """
    latencies = np.frombuffer(measured.latencies) * 1000
    names = ("p50", "p95", "p99", "max")
    points = np.percentile(latencies, (50, 95, 99, 100)) if latencies.size else [None] * 4
    rate = measured.completed / measured.seconds
    spent = sum(measured.latencies)
    requests = len(latencies) + sum(measured.errors.values())
    return {
        "seconds": round(measured.seconds, 3),
        "requests_per_second": round(rate, 2),
        "texts_per_second": texts_per_request and round(rate * texts_per_request, 2),
        "latency_ms": {
            name: None if point is None else round(float(point), 3)
            for name, point in zip(names, points, strict=True)
        },
        "requests": requests,
        "answered": len(latencies),
        "errors": dict(measured.errors.most_common()),
        "shares": {part: round(getattr(measured, part) / spent, 4) for part in PARTS}
        if spent
        else dict.fromkeys(PARTS),
        "cpu_ms_per_request": round(measured.cpu * 1000 / requests, 4) if requests else None,
    }


def print_report(report: dict[str, Any]) -> None:
    """Print the report as text."""
    latency = "nothing was answered"
    spent = "-"
    if report["answered"]:
        latency = "   ".join(f"{name} {value:.2f}" for name, value in report["latency_ms"].items())
        spent = "   ".join(f"{part} {share:.1%}" for part, share in report["shares"].items())
    errors = ", ".join(
        f"{status} {count} ({count / report['requests']:.2%})"
        for status, count in report["errors"].items()
    )
    lines = [
        ("requests/s", f"{report['requests_per_second']:.1f}"),
        (
            "texts/s",
            f"{report['texts_per_second']:.1f}" if report["texts_per_second"] is not None else "-",
        ),
        ("latency, ms", latency),
        ("of it", spent),
        ("answered", f"{report['answered']} of {report['requests']} in {report['seconds']:g} s"),
        ("errors", errors or "none"),
    ]
    if report["cpu_ms_per_request"] is not None:
        lines.append(("this client", f"{report['cpu_ms_per_request']:.3f} ms of CPU a request"))
    for name, value in lines:
        print(f"{name:<14}{value}")
