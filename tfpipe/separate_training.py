"""A training in a process of its own, which is stopped with this one."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tfpipe import fork_server
from tfpipe.config import TrainConfig, to_yaml
from tfpipe.io.atomic import write_text
from tfpipe.run_folder import Run
from tfpipe.training.preemption import SignalHandler

POLL_SECONDS = 0.2


def train_separately(config: TrainConfig, file: Path, stop: SignalHandler) -> int:
    """Train as configured, or resume that training; wait for its end.

    Args:
        config: The configuration, with `output`.
        file: Where it is written for the process.
        stop: Records the signals of this process, which are sent on to the other.

    Returns:
        The exit status of `tfpipe.train`.
    """
    write_text(file, to_yaml(config))
    arguments = ["-m", "tfpipe.train", "--config", str(file)]
    if (Run(Path(str(config.output))).folder / "config.yaml").is_file():
        arguments.append("--resume")
    streams = fork_server.Streams(stdout=subprocess.DEVNULL)
    process = fork_server.start(arguments, fork_server.TRAINING, streams, new_session=True)
    forwarded = False
    while process.poll() is None:
        if stop.signal and not forwarded:
            process.send_signal(stop.signal)
            forwarded = True
        time.sleep(POLL_SECONDS)
    return process.wait()
