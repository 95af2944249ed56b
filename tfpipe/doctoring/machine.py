"""Checks of the machine: system, processors, memory, disk."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from tfpipe.doctoring.findings import Finding, in_units, note, ok, problem
from tfpipe.locations import cache_folder

GIB = 2**30
# Flags of the processor that matter for matrix products.
FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_vnni": "VNNI (int8 products)",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX-BF16",
    "amx_int8": "AMX-INT8",
}
# Memory limit of a container, in both versions of Linux's control groups.
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_machine() -> Iterator[Finding]:
    """Check system, cores, processor, memory and free disk space."""
    yield ok("system", f"The system is {platform.platform()}.", platform.platform())
    yield from _check_cores()
    yield from _check_processor()
    yield from _check_memory()
    yield from _check_disk()


def _check_cores() -> Iterator[Finding]:
    total = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    allowed = f" of the machine's {total}" if cores < total else ""
    yield ok("cores", f"{cores} processor cores{allowed} may be used.", cores)
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdecimal() and period.strip().isdecimal() and int(quota) < cores * int(period):
        share = int(quota) / int(period)
        yield note(
            "cores.quota",
            f"The container gives the time of {share:.1f} cores, but programs see {cores} and"
            f" start as many threads: OMP_NUM_THREADS={max(1, round(share))} may be faster.",
            share,
        )


def _check_processor() -> Iterator[Finding]:
    lines = _read("/proc/cpuinfo").splitlines()
    flags = next((line.split() for line in lines if line.startswith("flags")), None)
    if flags is None:
        yield note("processor", f"The processor ({platform.machine()}) does not list its features.")
        return
    found = [name for flag, name in FEATURES.items() if flag in flags]
    sentence = ", ".join(found) or "none of AVX2, AVX512, BF16, AMX"
    bfloat16 = "avx512_bf16" in flags or "amx_bf16" in flags
    if bfloat16:
        means = "bfloat16 products run in hardware, and --precision auto trains in bfloat16"
    else:
        means = "there are no bfloat16 products in hardware, and --precision auto is float32"
    # TensorFlow's wheels run without them, but several times slower.
    mark = ok if "avx2" in flags else note
    yield mark("processor", f"The processor has {sentence}: {means}.", found)


def _check_memory() -> Iterator[Finding]:
    rows = (line.split() for line in _read("/proc/meminfo").splitlines())
    kilobytes = {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
    if "MemTotal" not in kilobytes:
        yield note("memory", "This system does not report its memory.")
        return
    total = kilobytes["MemTotal"] * 1024
    free = kilobytes.get("MemAvailable", kilobytes["MemTotal"]) * 1024
    limits = [int(text) for text in map(_read, MEMORY_LIMITS) if text.strip().isdecimal()]
    limit = min([limit for limit in limits if limit < total], default=None)
    sentence = f"{in_units(free)} of {in_units(total)} of memory are free"
    if limit is not None:
        sentence += f", and the container may use {in_units(limit)}"
    available = min(free, limit or free)
    value = {"total": total, "free": free, "limit": limit}
    if available < 2 * GIB:
        yield note("memory", f"{sentence}: little for training, which may be killed.", value)
    else:
        yield ok("memory", f"{sentence}.", value)


def _check_disk() -> Iterator[Finding]:
    for about, what, folder in (
        ("disk", "Where this command runs,", Path.cwd()),
        ("cache", f"In TFPIPE_CACHE ({cache_folder()}),", cache_folder()),
    ):
        there = next((p for p in (folder, *folder.parents) if p.is_dir()), Path("/"))
        free = shutil.disk_usage(there).free
        sentence = f"{what} {in_units(free)} of disk are free"
        if about == "cache":
            kept = [path.stat().st_size for path in folder.glob("*.npz")]
            sentence += f"; {len(kept)} tokenized data files are kept there ({in_units(sum(kept))})"
        if not os.access(there, os.W_OK):
            # A cache that cannot be written costs time only.
            mark, sentence = (
                (note if about == "cache" else problem),
                f"{sentence}, but you may not write there",
            )
        elif free < GIB:
            mark, sentence = problem, f"{sentence}: a run with its checkpoints takes about 1 GB"
        else:
            mark = note if free < 5 * GIB else ok
        yield mark(about, f"{sentence}.", {"folder": str(folder), "free": free})


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
