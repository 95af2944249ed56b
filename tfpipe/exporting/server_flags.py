"""What was measured under load, as files that a server's command line is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfpipe.data.read_examples import Examples
from tfpipe.exporting.serving_benchmark import (
    BUSY,
    MIN_TEXTS,
    NOISE,
    PAYS,
    SLOWER,
    SMALL,
    SMALL_BATCH,
    Measurements,
    Recommendation,
    measure,
    recommend,
)
from tfpipe.tasks.task import Task

# One flag a line, `#` before comments; file names in it lie beside it.
FLAGS_FILE = Path("assets.extra", "tensorflow_model_server.flags")
BATCHING_FILE = FLAGS_FILE.with_name("batching_parameters.txt")
# TensorFlow Serving's own limit of a batched request.
LARGEST_REQUEST = 1000
LARGEST_REQUESTS = 4
LEAST_SERVER_THREADS = 64


def recommend_flags(
    export: Path, task: Task, dev: Examples, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure an export and write its flags beside it; returns the figures, {} without any.

    Raises RuntimeError where it cannot be measured.
    """
    if len(dev) < MIN_TEXTS:
        tell(f"serving is not measured: {len(dev)} dev texts, {MIN_TEXTS} are the least")
        return {}
    figures = measure(export, task, dev)
    advice = recommend(figures)
    write_flags(export, figures, advice)
    flags = list_flags(figures, advice)
    tell(f"serving is measured; flags: {' '.join(flags) or 'none, the defaults are best here'}")
    return as_json(figures, advice)


def write_flags(export: Path, figures: Measurements, advice: Recommendation) -> None:
    """Write the flags with the figures as comments and, with batching, its parameters."""
    path = export / FLAGS_FILE
    path.parent.mkdir(exist_ok=True)
    comments = [f"# {line}".rstrip() for line in [*_tabulate(figures), *_explain(figures, advice)]]
    lines = [*comments, *list_flags(figures, advice)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    parameters = export / BATCHING_FILE
    if advice.batch:
        parameters.write_text(describe_batching(figures, advice.batch), encoding="utf-8")
    else:
        parameters.unlink(missing_ok=True)


def list_flags(figures: Measurements, advice: Recommendation) -> list[str]:
    """The flags that differ from the servers' defaults."""
    threads = figures.threads[advice.setting]
    flags = [f"--tensorflow_intra_op_parallelism={threads}"] if threads else []
    if advice.batch:
        waiting = max(LEAST_SERVER_THREADS, 2 * advice.batch * figures.cores)
        flags += [
            "--enable_batching=true",
            f"--batching_parameters_file={BATCHING_FILE.name}",
            f"--grpc_max_threads={waiting}",
            f"--rest_api_num_threads={waiting}",
        ]
    return flags


def describe_batching(figures: Measurements, batch: int) -> str:
    """A text BatchingParameters.

    Texts are strings of one dimension: there is nothing that pad_variable_length_inputs could pad.
    """
    enqueued = LARGEST_REQUESTS * math.ceil(LARGEST_REQUEST / batch)
    return f"""\
# The largest request, and the most texts, of one request or several, that are run at once. The
# measurements are in {FLAGS_FILE.name}.
max_batch_size {{ value: {LARGEST_REQUEST} }}
enable_large_batch_splitting {{ value: true }}
max_execution_batch_size {{ value: {batch} }}
# A lone request waits for nobody; under load, batches fill while others run.
batch_timeout_micros {{ value: 0 }}
# One for each core, as measured.
num_batch_threads {{ value: {figures.cores} }}
# Room for {LARGEST_REQUESTS} of the largest requests.
max_enqueued_batches {{ value: {enqueued} }}
"""


def as_json(figures: Measurements, advice: Recommendation) -> dict[str, Any]:
    """What is recorded: the machine, the medians of each setting and load, and the flags."""
    return {
        "processor": figures.processor,
        "cores": figures.cores,
        "gpus": list(figures.gpus),
        "rounds": figures.found.shape[1],
        "measured": [
            {
                "intra_op_parallelism": threads,
                "rows": rows,
                "clients": clients,
                "texts_per_second": round(float(rate), 1),
                "p50_ms": round(float(wait), 2),
            }
            for threads, medians in zip(figures.threads, figures.medians(), strict=True)
            for (rows, clients), (rate, wait) in zip(figures.loads, medians, strict=True)
        ],
        "flags": list_flags(figures, advice),
    }


def _tabulate(figures: Measurements) -> list[str]:
    machine = ", ".join([figures.processor, _count(figures.cores, "core"), *figures.gpus])
    rounds = figures.found.shape[1]
    heads = [f"{_count(rows, 'text')}, {_count(c, 'client')}" for rows, c in figures.loads]
    table = [["threads", *heads]]
    for threads, medians in zip(figures.threads, figures.medians(), strict=True):
        cells = [f"{rate:.0f}/s {wait:.1f} ms" for rate, wait in medians]
        table.append([str(threads or "default"), *cells])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        f"Measured by tfpipe.export on {machine},",
        f"with texts of the run's dev set; medians of {rounds} rounds in which all took turns.",
        "By threads within an operation, and by texts of a request and clients at once:",
        "texts per second, and milliseconds of a request.",
        "",
        *("  " + " | ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table),
        "",
    ]


def _explain(figures: Measurements, advice: Recommendation) -> list[str]:
    """The reasons for what is on and what is off."""
    medians = figures.medians()[:, :, 0]
    clients = _count(figures.loads[BUSY][1], "client")
    threads = figures.threads[advice.setting]
    if threads:
        gain = medians[advice.setting, BUSY] / medians[0, BUSY]
        lines = [f"{_count(threads, 'thread')} within an operation: {gain:.2f} times as many texts"]
        lines += [f"per second for {clients} as by default."]
    else:
        lines = [
            f"Threads are left to TensorFlow: no other number gives {clients} over {NOISE - 1:.0%}",
            f"more, and more in every round, with a lone request at most {SLOWER - 1:.0%} slower.",
        ]
    batched, alone = (f"{medians[advice.setting, load]:.0f}" for load in (SMALL, BUSY))
    compared = f"{batched} texts per second in batches of {SMALL_BATCH}, {alone} one by one"
    if advice.batch:
        lines += [
            f"Batching pays: {compared}.",
            "Each request that waits for a batch takes a thread of the server: it gets more.",
            "`ids` requests of different lengths must not meet in a batch: send one length.",
            "TensorFlow Serving then refuses `info`, which has no inputs: read assets/info.json.",
        ]
    else:
        lines += [f"Batching does not pay here and is off: {compared}"]
        lines += [f"(over {PAYS} times as many, and more in every round, make up for the wait)."]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
