"""A `serving.server` of the application's own: started, watched, and started again."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tfpipe.errors import UserError
from tfpipe.subprocesses import bound

logger = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 30.0
# A server that ran so long had started well; the next pause is the first one again.
STEADY_SECONDS = 30.0
STOP_SECONDS = 10.0


def write_model_config(path: Path, folders: Sequence[Path]) -> None:
    """Write the `--model_config_file` of these folders of versions; raises UserError."""
    for folder in folders:
        if not any(one.name.isdigit() for one in folder.glob("*") if one.is_dir()):
            found = "no versions in it" if folder.is_dir() else "no such folder"
            raise UserError(
                "there is no served model",
                f"{folder}: {found}",
                "name a folder that tfpipe.export or tfpipe.index wrote, FOLDER/NAME",
            )
    entries = "".join(
        f'  config {{ name: "{folder.name}" base_path: "{folder.resolve()}"'
        ' model_platform: "tensorflow" }\n'
        for folder in folders
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"model_config_list {{\n{entries}}}\n", encoding="utf-8")


class ModelServer:
    """Runs the server until it is stopped; one that ends is started again.

    Args:
        config: The file of `write_model_config`. Beside it the server's log is written.

    Attributes:
        target: Its address, the same after each start.
        process: The process that runs, or ran last.
        log: The file of its output.
    """

    def __init__(self, config: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.target = f"127.0.0.1:{port}"
        self.process: asyncio.subprocess.Process | None = None
        self._command = [
            *(sys.executable, "-m", "serving.server", f"--port={port}"),
            f"--model_config_file={config}",
            *("--enable_batching", "--request_log=off"),
        ]
        self.log = config.with_name("model-server.log")

    async def run(self) -> None:
        """Start the server again whenever it ends; stops it when this task is cancelled."""
        pause, loop = FIRST_PAUSE_SECONDS, asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                with self.log.open("w", encoding="utf-8") as log:
                    self.process = await asyncio.create_subprocess_exec(
                        *bound(self._command), stdout=log, stderr=log
                    )
                status = await self.process.wait()
                logger.warning("the model server ended with %d: see %s", status, self.log)
                if loop.time() - began > STEADY_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except asyncio.TimeoutError:
            self.process.kill()
