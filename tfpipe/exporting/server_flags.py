"""Server flags from measurements under load, written as files into an export."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from tfpipe.data.examples import Examples
from tfpipe.exporting.clean_process import TakesTexts
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
from tfpipe.io.atomic import write_text

logger = logging.getLogger(__name__)

# One flag a line, `#` before comments; file names in it are relative to its folder.
FLAGS_FILE = Path("assets.extra", "tensorflow_model_server.flags")
BATCHING_FILE = FLAGS_FILE.with_name("batching_parameters.txt")
# TensorFlow Serving's own limit of a batched request.
LARGEST_REQUEST = 1000
LARGEST_REQUESTS = 4
LEAST_SERVER_THREADS = 64


def recommend_flags(export: Path, task: TakesTexts, dev: Examples) -> dict[str, Any]:
    """Measure an export under load and write its server flags.

    Returns:
        The measurements and flags as JSON can hold them; {} with too few dev texts.

    Raises:
        RuntimeError: It cannot be measured.
    """
    if len(dev) < MIN_TEXTS:
        logger.info(f"serving is not measured: {len(dev)} dev texts, {MIN_TEXTS} are needed")
        return {}
    measured = measure(export, task, dev)
    recommended = recommend(measured)
    write_flags(export, measured, recommended)
    flags = list_flags(measured, recommended)
    shown = " ".join(flags) or "none, the defaults are best here"
    logger.info(f"serving is measured; flags: {shown}")
    return as_json(measured, recommended)


def write_flags(export: Path, measured: Measurements, recommended: Recommendation) -> None:
    """Write the flags, with the measurements as comments, and the batching parameters."""
    path = export / FLAGS_FILE
    path.parent.mkdir(exist_ok=True)
    comments = [
        f"# {line}".rstrip() for line in [*_tabulate(measured), *_explain(measured, recommended)]
    ]
    lines = [*comments, *list_flags(measured, recommended)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    parameters = export / BATCHING_FILE
    if recommended.batch:
        parameters.write_text(describe_batching(measured, recommended.batch), encoding="utf-8")
    else:
        parameters.unlink(missing_ok=True)


def copy_beside_versions(place: Path) -> None:
    """Copy the batching parameters of a published FOLDER/NAME/N to FOLDER/NAME.

    A server's command line that names the file there outlives the version, which `--keep` removes.
    """
    parameters = place / BATCHING_FILE
    if parameters.is_file():
        write_text(place.parent / parameters.name, parameters.read_text(encoding="utf-8"))


def list_flags(measured: Measurements, recommended: Recommendation) -> list[str]:
    """Return the flags that differ from the servers' defaults."""
    threads = measured.threads[recommended.setting]
    flags = [f"--tensorflow_intra_op_parallelism={threads}"] if threads else []
    if recommended.batch:
        waiting = max(LEAST_SERVER_THREADS, 2 * recommended.batch * measured.cores)
        flags += [
            "--enable_batching=true",
            f"--batching_parameters_file={BATCHING_FILE.name}",
            f"--grpc_max_threads={waiting}",
            f"--rest_api_num_threads={waiting}",
        ]
    return flags


def describe_batching(measured: Measurements, batch: int) -> str:
    """Return BatchingParameters in protobuf's text format.

    pad_variable_length_inputs is left out: inputs are strings of one dimension.
    """
    enqueued = LARGEST_REQUESTS * math.ceil(LARGEST_REQUEST / batch)
    return f"""\
# The largest request, and the most texts, of one request or several, that are run at once. The
# measurements are in {FLAGS_FILE.name}.
max_batch_size {{ value: {LARGEST_REQUEST} }}
enable_large_batch_splitting {{ value: true }}
max_execution_batch_size {{ value: {batch} }}
# A single request does not wait; under load, batches fill while others run.
batch_timeout_micros {{ value: 0 }}
# One for each core, as measured.
num_batch_threads {{ value: {measured.cores} }}
# Enough for {LARGEST_REQUESTS} of the largest requests.
max_enqueued_batches {{ value: {enqueued} }}
"""


def as_json(measured: Measurements, recommended: Recommendation) -> dict[str, Any]:
    """Return the machine, the medians of each setting and load, and the flags."""
    return {
        "processor": measured.processor,
        "cores": measured.cores,
        "gpus": list(measured.gpus),
        "rounds": measured.found.shape[1],
        "measured": [
            {
                "intra_op_parallelism": threads,
                "rows": rows,
                "clients": clients,
                "texts_per_second": round(float(rate), 1),
                "p50_ms": round(float(wait), 2),
            }
            for threads, medians in zip(measured.threads, measured.medians(), strict=True)
            for (rows, clients), (rate, wait) in zip(measured.loads, medians, strict=True)
        ],
        "flags": list_flags(measured, recommended),
    }


def _tabulate(measured: Measurements) -> list[str]:
    machine = ", ".join([measured.processor, _count(measured.cores, "core"), *measured.gpus])
    rounds = measured.found.shape[1]
    heads = [f"{_count(rows, 'text')}, {_count(c, 'client')}" for rows, c in measured.loads]
    table = [["threads", *heads]]
    for threads, medians in zip(measured.threads, measured.medians(), strict=True):
        # Rounded first as in as_json, so that both show one number (374.54, 374.5, 374).
        cells = [f"{round(rate, 1):.0f}/s {round(wait, 2):.1f} ms" for rate, wait in medians]
        table.append([str(threads or "default"), *cells])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        f"Measured by tfpipe.export on {machine},",
        f"with texts of the run's dev set; medians of {rounds} rounds of all settings in turn.",
        "By threads within an operation, and by texts of a request and concurrent clients:",
        "texts per second, and milliseconds of a request.",
        "",
        *("  " + " | ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table),
        "",
    ]


def _explain(measured: Measurements, recommended: Recommendation) -> list[str]:
    """Return the reasons for the flags, as lines."""
    medians = measured.medians()[:, :, 0]
    clients = _count(measured.loads[BUSY][1], "client")
    threads = measured.threads[recommended.setting]
    if threads:
        gain = medians[recommended.setting, BUSY] / medians[0, BUSY]
        lines = [f"{_count(threads, 'thread')} within an operation: {gain:.2f} times as many texts"]
        lines += [f"per second for {clients} as by default."]
    else:
        lines = [
            f"Threads are left to TensorFlow: no other number gives {clients} over {NOISE - 1:.0%}",
            f"more, and more in every round, with a lone request at most {SLOWER - 1:.0%} slower.",
        ]
    batched, alone = (f"{medians[recommended.setting, load]:.0f}" for load in (SMALL, BUSY))
    compared = f"{batched} texts per second in batches of {SMALL_BATCH}, {alone} one by one"
    if recommended.batch:
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
