"""The progress line of training: speed, and the time that is left."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest

from tfpipe.training.callbacks import StepMetrics
from tfpipe.training.progress import ProgressLine, Throughput


def test_the_compiling_first_step_is_no_measure_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    throughput = Throughput()
    line = ProgressLine(throughput, io.StringIO())
    first = StepMetrics(1, 20, 1, 1.5, 3e-5, 0.5, examples=32, tokens=448, places=512, seconds=50.0)
    with caplog.at_level("INFO", "tfpipe"):
        for step, seconds in ((1, 50.0), (2, 2.0), (3, 2.0)):
            clock[0] += seconds
            metrics = replace(first, step=step, seconds=seconds)
            throughput.on_step(metrics)
            line.on_step(metrics)
    said = [record.getMessage() for record in caplog.records]
    assert "left" not in said[0]
    assert said[1].endswith("| 0:36 left") and said[2].endswith("| 0:34 left")
