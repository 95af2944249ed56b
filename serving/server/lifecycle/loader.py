"""Loading of a version: SavedModel, batching, warm-up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.server import metrics
from serving.server.batching.batcher import BatcherFactory
from serving.server.flags import ServerFlags
from serving.server.inference.loaded_model import LoadedModel, read_options
from serving.server.inference.session_config import build_session_config
from serving.server.inference.warmup import warm_up


class Loader:
    """Loads versions with the options of the flags. Thread-safe."""

    def __init__(self, flags: ServerFlags):
        self._flags = flags
        self._tags = flags.saved_model_tags.split(",")
        self._session_config = build_session_config(flags)
        self._options = read_options(flags)
        self._batching = BatcherFactory(flags)

    def load(self, name: str, version: int, folder: Path) -> LoadedModel:
        """Return a version ready for requests; raises TensorFlow's exception for a broken one."""
        try:
            with measure_load(folder):
                model = LoadedModel(
                    name, version, folder, self._tags, self._session_config, self._options
                )
            try:
                self._prepare(model, folder)
            except BaseException:
                model.close()
                raise
        finally:
            if self._flags.flush_filesystem_caches:
                flush_filesystem_caches(folder)
        return model

    def _prepare(self, model: LoadedModel, folder: Path) -> None:
        """Attach the batcher, then replay the warm-up requests."""
        self._batching.attach(model, folder)
        if self._flags.enable_model_warmup:
            warm_up(model, folder, self._flags.num_request_iterations_for_warmup)


@contextmanager
def measure_load(folder: Path) -> Iterator[None]:
    """Count and time a load, as TensorFlow does (TF: cc/saved_model/loader.cc)."""
    started = time.perf_counter()
    try:
        yield
    except BaseException:
        metrics.LOAD_ATTEMPT_COUNT.increase(str(folder), "fail")
        raise
    metrics.LOAD_ATTEMPT_COUNT.increase(str(folder), "success")
    microseconds = int((time.perf_counter() - started) * 1e6)
    metrics.LOAD_LATENCY.increase(str(folder), by=microseconds)


def flush_filesystem_caches(folder: Path) -> None:
    """Drop a version's files from the page cache: their content is in memory already."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*"):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            pass
        finally:
            os.close(descriptor)
