"""Versions that are whole or not there, numbers that two exports never share, old ones removed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.server.lifecycle import version_folders as server
from tests.kill_publish import FILES, publish_one, write_version
from tfpipe.errors import UserError
from tfpipe.exporting.local_versions import LocalVersions
from tfpipe.exporting.published_versions import read_named_versions
from tfpipe.locations import list_versions

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.iterdir())


def is_whole(version: Path, content: str) -> bool:
    return all((version / name).read_text() == content for name in FILES)


# ---- aside and into place -------------------------------------------------------------------


def test_versions_follow_each_other_and_no_server_sees_what_lies_aside(tmp_path: Path) -> None:
    base = tmp_path / "models" / "tiny"
    for number in (1, 2):
        with LocalVersions(base).folder_for_export() as folder:
            write_version(folder, "new")
            assert folder.parent == base
            assert set(server.list_versions(base)[0]) == set(range(1, number))
            place = LocalVersions(base).publish(folder, None)
        assert place == base / str(number) and is_whole(place, "new")
    assert names(base) == ["1", "2"]
    # A server runs as another user.
    mask = os.umask(0)
    os.umask(mask)
    assert place.stat().st_mode & 0o777 == 0o777 & ~mask


def test_a_number_can_be_asked_for_once(tmp_path: Path) -> None:
    write_version(tmp_path / "7", "old")
    LocalVersions(tmp_path).refuse_taken(8)
    with pytest.raises(UserError, match="this version exists"):
        LocalVersions(tmp_path).refuse_taken(7)
    with LocalVersions(tmp_path).folder_for_export() as folder:
        write_version(folder, "new")
        assert LocalVersions(tmp_path).publish(folder, None).name == "8"
    with (
        pytest.raises(UserError, match="this version exists"),
        LocalVersions(tmp_path).folder_for_export() as folder,
    ):
        write_version(folder, "newer")
        LocalVersions(tmp_path).publish(folder, 8)
    assert names(tmp_path) == ["7", "8"] and is_whole(tmp_path / "8", "new")


def test_names_that_servers_read_as_numbers_are_taken(tmp_path: Path) -> None:
    for name in ("003", "latest", "٤", "1.5"):
        (tmp_path / name).mkdir()
    (tmp_path / "6").write_text("a file")
    assert list_versions(tmp_path) == {3: tmp_path / "003", 6: tmp_path / "6"}
    publish_one(tmp_path)
    assert "7" in names(tmp_path)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        LocalVersions(tmp_path / "a" / "b").folder_for_export() as folder,
    ):
        write_version(folder, "half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_the_disk_holds_it_before_it_is_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def note(handle: int, sync=os.fsync) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink().relative_to(tmp_path)
        done.append(path.relative_to(path.parts[0]) if path.parts else None)
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    with LocalVersions(tmp_path).folder_for_export() as folder:
        write_version(folder, "new")
        LocalVersions(tmp_path).publish(folder, None)
    assert {Path(name) for name in FILES} | {Path()} <= set(done[:-1])
    assert done[-1] is None and None not in done[:-1]


@pytest.mark.parametrize("below", ["file/tiny", "/proc/models/tiny"])
def test_a_target_that_cannot_be_written(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="the target folder cannot be written"),
        LocalVersions(tmp_path / below).folder_for_export(),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["file"]


NO_RIGHT = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tfpipe.errors import UserError
from tfpipe.exporting.local_versions import LocalVersions
if not os.getuid():
    os.setgroups([])
    os.setuid(65534)
try:
    with LocalVersions(Path(sys.argv[1])).folder_for_export():
        print("written")
except UserError as error:
    print(error)
"""


def test_a_target_without_the_right_to_write() -> None:
    # Not below tmp_path, which other users cannot even enter.
    done = subprocess.run(
        [sys.executable, "-c", NO_RIGHT, "/usr/tfpipe-test/tiny", str(ROOT)],
        capture_output=True,
        text=True,
    )
    if "ModuleNotFoundError" in done.stderr or "Permission" in done.stderr:
        pytest.skip("another user cannot read this checkout")
    assert "found: /usr/tfpipe-test/tiny: Permission denied" in done.stdout, done.stderr


def test_a_disk_that_fills_half_way(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the disk is full, nothing was published") as caught:  # noqa: SIM117
        with LocalVersions(tmp_path / "tiny").folder_for_export() as folder:
            (folder / "half").write_text("")
            # The one device that is always full.
            with Path("/dev/full").open("w") as full:
                full.write("x" * 10)
    assert "No space left" in caught.value.found
    assert names(tmp_path) == []


def test_another_limit_is_not_called_a_full_disk(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with (
            pytest.raises(OSError, match="File too large"),
            LocalVersions(tmp_path).folder_for_export() as folder,
        ):
            (folder / "half").write_text("x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == []


# ---- kills, and others at the same time -----------------------------------------------------


def test_killed_at_any_touch_it_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    script = ROOT / "tests" / "kill_publish.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    moments = int(done.stdout)
    assert moments > 30
    states = []
    for moment in range(moments + 1):
        base = tmp_path / str(moment)
        seen = server.list_versions(base)[0]
        assert all(is_whole(folder, "new" if n == 4 else "old") for n, folder in seen.items())
        states.append(tuple(sorted(seen)))
        # The next export clears away what was left.
        publish_one(base)
        assert names(base) == ["3", "4"] if 4 not in seen else ["4", "5"]
    assert list(dict.fromkeys(states)) == [(1, 2, 3), (1, 2, 3, 4), (2, 3, 4), (3, 4)]


def test_exports_at_once_each_get_a_number(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from tests.kill_publish import *\n"
        "for round in range(8):\n"
        "    with LocalVersions(Path(sys.argv[1])).folder_for_export() as folder:\n"
        "        write_version(folder, 'new')\n"
        "        print(LocalVersions(Path(sys.argv[1])).publish(folder, None).name)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "tiny"), str(ROOT)]

    def start(_: int) -> list[str]:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    with ThreadPoolExecutor(4) as crew:
        numbers = [int(number) for found in crew.map(start, range(4)) for number in found]
    assert sorted(numbers) == list(range(1, 33))
    assert all(is_whole(folder, "new") for folder in list_versions(tmp_path / "tiny").values())
    assert len(names(tmp_path / "tiny")) == 32


def test_a_live_export_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    with LocalVersions(tmp_path).folder_for_export() as first:
        dead = tmp_path / f"{first.name.rsplit('-', 1)[0]}-00000000.tmp"
        dead.mkdir()
        with LocalVersions(tmp_path).folder_for_export() as second:
            assert not dead.exists() and first.is_dir()
            write_version(second, "new")
            assert LocalVersions(tmp_path).publish(second, None).name == "1"
        write_version(first, "new")
        assert LocalVersions(tmp_path).publish(first, None).name == "2"
    assert names(tmp_path) == ["1", "2"]


def test_a_folder_of_somebody_else_stays(tmp_path: Path) -> None:
    for name in (".cache.tmp", ".export-notes", "export-1.tmp"):
        (tmp_path / name).mkdir()
    before = names(tmp_path)
    LocalVersions(tmp_path).clear_leftovers()
    assert names(tmp_path) == before


# ---- old versions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keep, named, new, left",
    [
        (1, {}, 12, [12]),
        (2, {}, 12, [9, 12]),
        (2, {1, 4}, 12, [1, 9, 12]),
        (1, {}, 2, [2, 12]),
        (9, {}, 12, [1, 2, 9, 12]),
    ],
)
def test_the_highest_the_named_and_the_new_stay(
    tmp_path: Path, keep: int, named: set[int], new: int, left: list[int]
) -> None:
    for number in (1, 2, 9, 12):
        write_version(tmp_path / str(number), "old")
    (tmp_path / "notes").mkdir()
    removed = LocalVersions(tmp_path).remove_old(keep, frozenset(named), new)
    assert sorted([*removed, *left]) == [1, 2, 9, 12]
    assert names(tmp_path) == [*sorted(map(str, left)), "notes"]


CONFIG = """
model_config_list {
  config { name: "tiny" base_path: "/models/tiny" model_platform: "tensorflow"
    version_labels { key: "stable" value: 3 } version_labels { key: "canary" value: 5 }
    model_version_policy { specific { versions: 2 versions: 5 } } }
  config { name: "other" base_path: "%s" model_platform: "tensorflow"
    version_labels { key: "stable" value: 8 } }
}
"""


def test_versions_that_the_server_s_config_names(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(CONFIG % (tmp_path / "here"))
    assert read_named_versions(str(config), Path("models/tiny")) == {2, 3, 5}
    assert read_named_versions(str(config), tmp_path / "here") == {8}
    with pytest.raises(UserError, match="did you mean 'other'?"):
        read_named_versions(str(config), Path("models/othr"))
    config.write_text("model_config_list { confg {} }")
    for path in (config, tmp_path / "none"):
        with pytest.raises(UserError, match="--model-config cannot be read"):
            read_named_versions(str(path), Path("models/tiny"))
