"""usage: python forked_search.py MODULE ...: a search whose fork server is forked, too.

A search starts a process that imports what trials import. Here it is forked from the search before
anything else is done, as this process has the imports done. Run by path, from any folder.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path

from tfpipe import fork_server, fork_server_worker


class ForkedServer(fork_server.ForkServer):
    """A fork server that has the imports of this process."""

    def __init__(self) -> None:
        self._channel, other = socket.socketpair()
        self._lock = threading.Lock()
        self._worker = os.fork()
        if not self._worker:
            self._channel.close()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            fork_server_worker.run(fork_server_worker.serve(other))
            sys.exit()
        other.close()
        atexit.register(self.close)

    def close(self) -> None:
        """End the server and the processes that it started."""
        os.kill(self._worker, signal.SIGKILL)
        os.waitpid(self._worker, 0)
        self._channel.close()


if __name__ == "__main__":
    fork_server._servers[fork_server.TRAINING] = ForkedServer()
    sys.argv, sys.path[0] = sys.argv[1:], str(Path.cwd())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
