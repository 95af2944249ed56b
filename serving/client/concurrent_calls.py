"""Request flows performed with threads: one on the caller's thread, several concurrently."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from typing import Any

import grpc

from serving.client.request_flow import FlowStep, Pause, RequestFlow, Send, T


def run_flow(flow: RequestFlow[T], perform: Callable[[FlowStep], Any]) -> T:
    """Return the result of a flow whose steps `perform` performs."""
    try:
        step = next(flow)
        while True:
            try:
                outcome = perform(step)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result


class ConcurrentCalls:
    """Thread pool that runs request flows; `start` sends a request and returns its future."""

    def __init__(self, start: Callable[[Send], Any]):
        self._start = start
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._running: set[Any] = set()

    def run(self, flows: Sequence[RequestFlow[Any]], size: int) -> list[Any]:
        """Return the results in order, with at most `size` flows at once.

        The first failure (or Ctrl-C) cancels the other calls and is raised.
        """
        results: list[Any] = [None] * len(flows)
        pending = deque(enumerate(flows))

        def work() -> None:
            while pending and not self._stopped.is_set():
                try:
                    position, flow = pending.popleft()
                except IndexError:
                    return
                results[position] = run_flow(flow, self._perform)

        with ThreadPoolExecutor(min(size, len(flows)), "serving-client") as threads:
            try:
                for done in as_completed(
                    [threads.submit(work) for _ in range(min(size, len(flows)))]
                ):
                    done.result()
            except BaseException:
                self._stop()
                raise
        return results

    def _perform(self, step: FlowStep) -> Any:
        if isinstance(step, Pause):
            if self._stopped.wait(step.seconds):
                raise CancelledError
            return None
        assert isinstance(step, Send)
        call = self._start(step)
        with self._lock:
            self._running.add(call)
        # Checked after the call was registered, so that `_stop` misses none.
        if self._stopped.is_set():
            call.cancel()
        try:
            return call.result()
        except grpc.FutureCancelledError:
            raise CancelledError from None
        finally:
            with self._lock:
                self._running.remove(call)

    def _stop(self) -> None:
        self._stopped.set()
        with self._lock:
            running = list(self._running)
        for call in running:
            call.cancel()
