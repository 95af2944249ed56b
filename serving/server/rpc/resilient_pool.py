"""Thread pool of the gRPC server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class ResilientThreadPool(ThreadPoolExecutor):
    """Thread pool that tolerates a failure to start another thread.

    gRPC's event loop would end with that exception, and the server with it; here the submitted
    work waits for one of the running threads.
    """

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Submit work; without a new thread, the future is done before the work is."""
        try:
            return super().submit(work, *arguments, **named)
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            future: Future[Any] = Future()
            future.set_result(None)
            return future
