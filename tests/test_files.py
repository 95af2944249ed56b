"""Files and folders that are whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tfpipe.errors import UserError
from tfpipe.files import folder_aside, write_text


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
        with folder_aside(place) as aside:
            assert aside.parent == place.parent
            (aside / content).write_text("")
        assert names(place) == [content]
    assert names(tmp_path / "deep") == ["model"]


def test_a_failing_block_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), folder_aside(tmp_path / "a" / "b" / "model") as aside:
        (aside / "half").write_text("")
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_failing_block_leaves_the_old_folder_alone(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "old").write_text("")
    with pytest.raises(KeyboardInterrupt), folder_aside(place) as aside:
        (aside / "half").write_text("")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["model"]
    assert names(place) == ["old"]


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "old").write_text("")
    with pytest.raises(FileNotFoundError), folder_aside(place) as aside:
        shutil.rmtree(aside)
    assert names(tmp_path) == ["model"]
    assert names(place) == ["old"]


def test_what_a_killed_process_of_the_same_id_left_is_no_hindrance(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    for left in ("tmp", "old"):
        (tmp_path / f".model.{os.getpid()}.{left}").mkdir()
        (tmp_path / f".model.{os.getpid()}.{left}" / "stale").write_text("")
    with folder_aside(place) as aside:
        assert names(aside) == []
        (aside / "new").write_text("")
    assert names(tmp_path) == ["model"]
    assert names(place) == ["new"]


@pytest.mark.parametrize("below", ["file/model", "file/deep/model"])
def test_a_place_where_no_folder_can_be_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught, folder_aside(tmp_path / below):
        pytest.fail("the block must not run")
    assert caught.value.wrong == "the folder cannot be written"
    assert below in caught.value.found
    assert names(tmp_path) == ["file"]


def test_the_disk_holds_a_folder_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def note(handle: int, sync: Callable[[int], None] = os.fsync) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")).relative_to(tmp_path))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    with folder_aside(tmp_path / "model") as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "weights").write_text("w")
    name = Path(aside.name)
    assert set(synced[:-1]) == {name, name / "inner", name / "inner" / "weights"}
    assert synced[-1] == Path()
