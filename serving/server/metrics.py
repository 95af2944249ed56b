"""Counters and histograms, and their exposition in Prometheus' text format 0.0.4.

Names, labels and buckets are those of TensorFlow Serving (util/prometheus_exporter.cc); names of
additional metrics begin with `:tfpipe:`. The registry is global to the process, as there. Times
are in microseconds.
"""

from __future__ import annotations

import bisect
import re
import threading
from collections.abc import Iterator, Sequence

# Requested names without a model become labels too, as in TensorFlow Serving; beyond this number
# they are counted under one label, so that clients cannot exhaust the memory.
LABELS_LIMIT = 1000
LABEL_LENGTH_LIMIT = 256
OVERFLOW = "(other)"

_lock = threading.Lock()
_metrics: dict[str, Counter | Histogram] = {}
_served_names: set[str] = set()


def exponential(first: float, factor: float, count: int) -> list[float]:
    """Return bucket bounds, each `factor` times the last; the bound +Inf is implied."""
    return [first * factor**power for power in range(count)]


LATENCY_BUCKETS = exponential(10, 1.8, 33)


class _LabelledMetric:
    """Base of counters and histograms: name, labels, and a bound on label combinations."""

    kind = ""

    def __init__(self, name: str, labels: Sequence[str]):
        self.name = name
        self.labels = labels
        self._seen: set[tuple[str, ...]] = set()
        _metrics[name] = self  # type: ignore[assignment]

    def _admit(self, values: tuple[str, ...]) -> tuple[str, ...]:
        # Under the lock. The first label is the model's name wherever a client can choose one.
        if values in self._seen or not values:
            return values
        full = len(self._seen) >= LABELS_LIMIT or len(values[0]) > LABEL_LENGTH_LIMIT
        if full and values[0] not in _served_names:
            values = (OVERFLOW, *values[1:])
        self._seen.add(values)
        return values


class Counter(_LabelledMetric):
    """Monotonic counter for each combination of label values."""

    kind = "counter"

    def __init__(self, name: str, labels: Sequence[str] = ()):
        super().__init__(name, labels)
        self._values: dict[tuple[str, ...], int] = {}

    def increase(self, *values: str, by: int = 1) -> None:
        """Add `by` to the counter of these label values."""
        with _lock:
            values = self._admit(values)
            self._values[values] = self._values.get(values, 0) + by

    def total(self) -> int:
        """Return the sum over all label values."""
        with _lock:
            return sum(self._values.values())

    def lines(self) -> Iterator[str]:
        """Yield the samples, one on each line."""
        for values, number in sorted(self._values.items()):
            yield f"{self.name}{_braces(self.labels, values)} {number}"


class Histogram(_LabelledMetric):
    """Histogram for each combination of label values."""

    kind = "histogram"

    def __init__(
        self, name: str, labels: Sequence[str] = (), bounds: Sequence[float] = LATENCY_BUCKETS
    ):
        super().__init__(name, labels)
        self.bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        """Count `value` in the histogram of these label values."""
        bucket = bisect.bisect_left(self.bounds, value)
        with _lock:
            values = self._admit(values)
            if values not in self._counts:
                self._counts[values] = [0] * (len(self.bounds) + 1)
                self._sums[values] = 0.0
            self._counts[values][bucket] += 1
            self._sums[values] += value

    def total(self) -> int:
        """Return the number of observed values."""
        with _lock:
            return sum(sum(counts) for counts in self._counts.values())

    def lines(self) -> Iterator[str]:
        """Yield the samples: cumulative buckets, sum and count."""
        for values, counts in sorted(self._counts.items()):
            labels = [*self.labels, "le"]
            below = 0
            for bound, count in zip([*self.bounds, float("inf")], counts, strict=True):
                below += count
                shown = "+Inf" if bound == float("inf") else f"{bound:.6g}"
                yield f"{self.name}_bucket{_braces(labels, [*values, shown])} {below}"
            braces = _braces(self.labels, values)
            yield f"{self.name}_sum{braces} {self._sums[values]:.15g}"
            yield f"{self.name}_count{braces} {below}"


def keep_label(model_name: str) -> None:
    """Exempt the name of a served model from the bound on labels."""
    if model_name not in _served_names:
        with _lock:
            _served_names.add(model_name)


def exposition() -> str:
    """Return all metrics in Prometheus' text format."""
    with _lock:
        lines = []
        for metric in sorted(_metrics.values(), key=lambda metric: metric.name):
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += metric.lines()
    # A name from a URL may contain surrogates that UTF-8 cannot encode.
    return ("\n".join(lines) + "\n").encode("utf-8", "replace").decode()


def read_totals(names: Sequence[str]) -> dict[str, int]:
    """Return the totals of the named metrics; 0 for an unknown one.

    A name may have TensorFlow Serving's form (/tensorflow/serving/request_count) or that of the
    exposition.
    """
    found = {name: _metrics.get(re.sub(r"[^A-Za-z0-9_]", ":", name)) for name in names}
    return {name: metric.total() if metric else 0 for name, metric in found.items()}


def _braces(labels: Sequence[str], values: Sequence[str]) -> str:
    pairs = (f'{label}="{_escape(value)}"' for label, value in zip(labels, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# Metrics of TensorFlow Serving.
SERVING = ":tensorflow:serving:"
REQUEST_COUNT = Counter(SERVING + "request_count", ("model_name", "status"))
REQUEST_LATENCY = Histogram(SERVING + "request_latency", ("model_name", "API", "entrypoint"))
RUNTIME_LATENCY = Histogram(SERVING + "runtime_latency", ("model_name", "API", "runtime"))
EXAMPLE_COUNTS = Histogram(SERVING + "request_example_counts", ("model",), exponential(1, 2, 15))
EXAMPLE_COUNT_TOTAL = Counter(SERVING + "request_example_count_total", ("model",))
WARMUP_LATENCY = Histogram(SERVING + "model_warmup_latency", ("model_path", "status"))
BATCH_QUEUING_LATENCY = Histogram(
    SERVING + "batching_session:queuing_latency", ("thread_pool_name",), exponential(100, 1.2, 52)
)
BATCH_WRAPPED_RUN_COUNT = Counter(SERVING + "batching_session:wrapped_run_count")
BATCH_INPUT_SIZE = Histogram(
    SERVING + "batching_session:input_batch_size", (), exponential(1, 2, 15)
)
BATCH_PROCESSED_SIZE = Histogram(
    SERVING + "batching_session:processed_batch_size", (), exponential(1, 2, 15)
)
BATCH_PADDING_SIZE = Histogram(
    SERVING + "batching_session:padding_size", ("execution_batch_size",), exponential(1, 2, 15)
)

# Metrics of TensorFlow's SavedModel loader. The latency is a counter there, too.
LOAD_ATTEMPT_COUNT = Counter(
    ":tensorflow:cc:saved_model:load_attempt_count", ("model_path", "status")
)
LOAD_LATENCY = Counter(":tensorflow:cc:saved_model:load_latency", ("model_path",))

# Additional metrics: version and signature, and the parts of the latency.
VERSION_REQUEST_COUNT = Counter(
    ":tfpipe:serving:request_count", ("model_name", "version", "signature", "api", "status")
)
QUEUE_TIME = Histogram(":tfpipe:serving:queue_time", ("model_name", "version"))
BATCH_SIZE = Histogram(
    ":tfpipe:serving:batch_size", ("model_name", "version"), exponential(1, 2, 15)
)
RUN_TIME = Histogram(":tfpipe:serving:run_time", ("model_name", "version"))
THREAD_WAIT = Histogram(":tfpipe:serving:thread_wait", ("entrypoint",))
