"""benchmarks/compress.py: a row of ratios for each run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import compress
from tests.support.runs import finished_run
from tfpipe.train import train


def test_runs_are_measured_beside_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run("classify")
    other = train(replace(run.config, output=str(tmp_path / "worse"), epochs=1, learning_rate=1e-9))
    monkeypatch.setattr("sys.argv", ["compress.py", str(run.folder), str(other.folder)])
    compress.main()
    header, first, worse = (line.split() for line in capsys.readouterr().out.splitlines()[-3:])
    assert header == [
        *("MB", "parameters", "batch", "1", "batch", "8", "batch", "32"),
        *("accuracy", "left", "kept", "p", "run"),
    ]
    accuracies = [one.metrics["dev"]["accuracy"] for one in (run, other)]
    rest = [*["1.00x"] * 3, f"{accuracies[0]:.4f}", "100.0%", "100.0%", "1", str(run.folder)]
    assert first[2:] == rest
    left = f"{accuracies[1] / accuracies[0]:.1%}"
    assert worse[:2] == first[:2] and worse[5:7] == [f"{accuracies[1]:.4f}", left]
    assert float(worse[7].rstrip("%")) < 90 and float(worse[8]) < 0.05
