"""Atomic writes and exclusive locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tfpipe.errors import UserError
from tfpipe.io.atomic import atomic_folder, clear_leftovers, write_text
from tfpipe.io.locks import exclusive_lock, is_locked, training_lock


def names(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.iterdir())


def test_text_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "一\r\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == "一\r\nb\n".encode()
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_text_that_cannot_be_written_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\ud800")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_text_below_a_file_raises_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_folder_takes_its_place_when_the_block_ends_well(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "model"
    for content in ("first", "second"):
        with atomic_folder(place) as aside:
            assert aside.parent == place.parent
            (aside / content).write_text("")
        assert names(place) == [content]
    assert names(tmp_path / "deep") == ["model"]


def test_a_failing_block_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "a" / "b" / "model") as aside:
        (aside / "half").write_text("")
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_failing_block_leaves_the_old_folder_alone(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "old").write_text("")
    with pytest.raises(KeyboardInterrupt), atomic_folder(place) as aside:
        (aside / "half").write_text("")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["model"]
    assert names(place) == ["old"]


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "old").write_text("")
    with pytest.raises(FileNotFoundError), atomic_folder(place) as aside:
        shutil.rmtree(aside)
    assert names(tmp_path) == ["model"]
    assert names(place) == ["old"]


def test_what_a_killed_process_of_the_same_id_left_is_no_hindrance(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    for left in ("tmp", "old"):
        (tmp_path / f".model.{os.getpid()}.{left}").mkdir()
        (tmp_path / f".model.{os.getpid()}.{left}" / "stale").write_text("")
    with atomic_folder(place) as aside:
        assert names(aside) == []
        (aside / "new").write_text("")
    assert names(tmp_path) == ["model"]
    assert names(place) == ["new"]


@pytest.mark.parametrize("below", ["file/model", "file/deep/model"])
def test_a_place_where_no_folder_can_be_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught, atomic_folder(tmp_path / below):
        pytest.fail("the block must not run")
    assert caught.value.wrong == "the folder cannot be written"
    assert below in caught.value.found
    assert names(tmp_path) == ["file"]


def test_the_disk_holds_a_folder_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def note(handle: int, sync: Callable[[int], None] = os.fsync) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().relative_to(tmp_path))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    with atomic_folder(tmp_path / "model") as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "weights").write_text("w")
    name = Path(aside.name)
    assert set(synced[:-1]) == {name, name / "inner", name / "inner" / "weights"}
    assert synced[-1] == Path()


def test_leftovers_go_and_a_replaced_folder_comes_back(tmp_path: Path) -> None:
    for name in (".model.7.old", ".model.7.tmp", ".best.7.old", "best", ".other.7.tmp"):
        (tmp_path / name).mkdir()
    clear_leftovers(tmp_path, "model")
    clear_leftovers(tmp_path, "best")
    assert names(tmp_path) == [".other.7.tmp", "best", "model"]


# ---- locks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [True, False])
def test_a_lock_is_held_until_the_block_ends(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "locked"
    assert not is_locked(path) and not path.exists()
    path.mkdir() if folder else path.write_text("content")
    with exclusive_lock(path):
        assert is_locked(path)
        with pytest.raises(BlockingIOError), exclusive_lock(path):
            pytest.fail("the block must not run")
    assert not is_locked(path)
    assert folder or path.read_text() == "content"


HOLDS = """
import sys, time
from pathlib import Path
from tfpipe.io.locks import training_lock
with training_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    process = subprocess.Popen([sys.executable, "-c", HOLDS, folder], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    assert is_locked(folder / ".lock")
    with pytest.raises(UserError, match="another process trains"), training_lock(folder):
        pytest.fail("the block must not run")
    process.kill()
    process.wait()
    process.stdout.close()
    with training_lock(folder):
        assert is_locked(folder / ".lock")


def test_an_error_of_the_block_is_not_taken_for_a_lock(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), training_lock(tmp_path):
        raise BlockingIOError
