"""Shared by all tests: a tiny real world on two logical CPU devices, offline."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

# Before TensorFlow is imported: no hub, and not the user's cache but one for all the processes of
# this run, which the first of them makes and removes.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TFPIPE_CACHE"] = os.environ.get("TFPIPE_TESTS_CACHE") or tempfile.mkdtemp()
# Before NumPy is: where other processes have the cores, a product of small matrices by several
# threads takes three times the time, most of it waiting.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

import tfpipe  # noqa: F401  (sets up the environment of TensorFlow and transformers)

if TYPE_CHECKING:
    from tfpipe.export import Export
    from tfpipe.run_folder import Run

# None in the processes that pytest-xdist starts from the first one.
NEW_CACHE = None if "TFPIPE_TESTS_CACHE" in os.environ else os.environ["TFPIPE_CACHE"]
os.environ["TFPIPE_TESTS_CACHE"] = os.environ["TFPIPE_CACHE"]
ROOT = Path(__file__).parents[1]
# Files that take longest are begun first: at the end, one of them would keep a single process
# busy. The first builds runs and exports that compare needs, which is begun after it.
LONGEST = [
    f"test_{name}.py"
    for name in ("flow", "readme", "tokenizer", "train", "compare", "multilingual", "interrupt")
]


def pytest_unconfigure() -> None:
    """Remove the run's cache, which can hold the 460 MB of the model `multilingual`."""
    if NEW_CACHE:
        shutil.rmtree(NEW_CACHE, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def two_devices() -> None:
    """Two logical CPU devices stand for two replicas."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session", autouse=True)
def rare_collections() -> None:
    """Garbage is searched for less often: a graph is thousands of objects that stay."""
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session", autouse=True)
def logged() -> None:
    """What tfpipe logs is on standard error, as its commands print it."""
    from tfpipe.cli import log_to_stderr

    log_to_stderr()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return folder


@pytest.fixture(scope="session", autouse=True)
def shared_files_stay() -> Iterator[None]:
    """No test changes the runs and exports that all tests share."""
    from tests.support.built_once import check_used_folders

    yield
    check_used_folders()


@pytest.fixture
def forked_openings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor opens exports in processes that need not import TensorFlow.

    What it says of their memory is of such a process; test_doctor.py's test_an_export does without.
    """
    from tfpipe import fork_server
    from tfpipe.doctoring import export_folder

    worker = str(export_folder.WORKER)

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        arguments = command[command.index(worker) :]
        return fork_server.run(arguments, fork_server.TENSORFLOW)

    monkeypatch.setattr(export_folder, "subprocess", SimpleNamespace(run=run))


@pytest.fixture(scope="session")
def published() -> tuple[Run, Export]:
    """The shared run of the task classify and its export; tests copy what they change."""
    from tests.support.exports import exported
    from tests.support.runs import finished_run

    return finished_run("classify"), exported("classify")
