"""Load generator: a closed loop of clients, or an open loop at a fixed rate."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import DecodeError

# Requests beyond this wait in this process; their waiting counts as latency.
MAX_IN_FLIGHT = 4096
now = time.perf_counter
# A unary-unary callable of grpc.aio without serializers: call(data, timeout=seconds).
Call = Callable[..., Awaitable[bytes]]


@dataclass
class Measurement:
    """Measurement so far; times in seconds.

    Attributes:
        latencies: Latency of each answered request that was due in the measured window.
        errors: Number of failed requests that were due in the window, by status.
        completed: Requests answered within the window, whenever they were sent, so that neither
            end of the window biases the rate.
        late: Sum over `latencies` of the time from due to sending begun.
        encoding: Sum of the time to encode the request.
        waiting: Sum of the time in network, server and this process's event loop.
        decoding: Sum of the time to decode the response.
        seconds: Length of the window.
        cpu: CPU time of this process in the window.
    """

    latencies: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    late: float = 0.0
    encoding: float = 0.0
    waiting: float = 0.0
    decoding: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0


class LoadGenerator:
    """Sends requests and measures them; runs once.

    grpc.aio needs about a fifth less CPU for each request than threads on a synchronous channel,
    which matters where load and server share the cores. After an interrupt, `measurement` covers
    the time until then.

    Args:
        encode: Builds the bytes of the next request.
        decode: Decodes the bytes of a response.
        timeout: Seconds for each request.
    """

    def __init__(
        self,
        encode: Callable[[], bytes],
        decode: Callable[[bytes], object],
        timeout: float,
    ):
        self.measurement = Measurement()
        self._encode = encode
        self._decode = decode
        self._timeout = timeout
        self._start = self._end = float("inf")
        self._cpu = 0.0
        self._stopped = False

    async def run_closed(
        self, call: Call, clients: int, warmup: float, seconds: float
    ) -> Measurement:
        """Closed loop: each of `clients` sends its next request after the last answer."""

        async def send_repeatedly() -> None:
            while (due := now()) < self._end:
                await self._send(call, due)

        self._open_window(warmup, seconds)
        try:
            await asyncio.gather(self._watch(), *(send_repeatedly() for _ in range(clients)))
        finally:
            self._stop()
        return self.measurement

    async def run_open(self, call: Call, rate: float, warmup: float, seconds: float) -> Measurement:
        """Open loop: `rate` requests are due each second, independent of the answers.

        Latency counts from the time that a request was due, waiting in this process included, so
        that there is no coordinated omission.
        """
        free = asyncio.Semaphore(MAX_IN_FLIGHT)
        first, sent = self._open_window(warmup, seconds), 0
        running: set[asyncio.Task[None]] = {asyncio.create_task(self._watch())}

        def finish(task: asyncio.Task[None]) -> None:
            running.discard(task)
            free.release()

        try:
            while (due := first + sent / rate) < self._end:
                # Yield to the event loop even when late, so that answers are processed.
                await asyncio.sleep(max(0.0, due - now()))
                await free.acquire()
                task = asyncio.create_task(self._send(call, due))
                running.add(task)
                task.add_done_callback(finish)
                sent += 1
            await asyncio.gather(*running)
        finally:
            self._stop()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return self.measurement

    async def _send(self, call: Call, due: float) -> None:
        begun = now()
        remaining = self._timeout - (begun - due)
        if remaining <= 0:
            self._count_error(due, grpc.StatusCode.DEADLINE_EXCEEDED.name)
            return
        data = self._encode()
        sent = now()
        try:
            answer = await call(data, timeout=remaining)
            arrived = now()
            self._decode(answer)
        except grpc.RpcError as error:
            self._count_error(due, error.code().name)
            return
        except (ValueError, DecodeError):
            self._count_error(due, "UNREADABLE")
            return
        done = now()
        if self._stopped:
            return
        measured = self.measurement
        if self._start <= done < self._end:
            measured.completed += 1
        if self._start <= due < self._end:
            measured.latencies.append(done - due)
            measured.late += begun - due
            measured.encoding += sent - begun
            measured.waiting += arrived - sent
            measured.decoding += done - arrived

    def _count_error(self, due: float, status: str) -> None:
        if self._start <= due < self._end and not self._stopped:
            self.measurement.errors[status] += 1

    def _open_window(self, warmup: float, seconds: float) -> float:
        began = now()
        self._start, self._end = began + warmup, began + (warmup + seconds)
        return began

    async def _watch(self) -> None:
        await asyncio.sleep(self._start - now())
        self._cpu = time.process_time()
        await asyncio.sleep(self._end - now())
        self._close_window()

    def _stop(self) -> None:
        """Stop counting: requests cancelled by an interrupt are not errors."""
        self._stopped = True
        self._close_window()

    def _close_window(self) -> None:
        measured, end = self.measurement, min(now(), self._end)
        if not measured.seconds and end > self._start:
            measured.seconds = end - self._start
            measured.cpu = time.process_time() - self._cpu
