"""Versions in a store that knows no folders to rename: whole or not there, one number each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.kill_publish import FILES, write_version
from tfpipe.errors import UserError
from tfpipe.export import Export, main
from tfpipe.exporting import version_claims
from tfpipe.exporting.baseline import find_baseline
from tfpipe.exporting.local_versions import LocalVersions
from tfpipe.exporting.object_store import (
    copy,
    list_files,
    list_names,
    local_copy,
    remove_tree,
    write,
)
from tfpipe.exporting.published_versions import read_named_versions, refuse_new_labels
from tfpipe.exporting.remote_versions import RemoteVersions, open_target
from tfpipe.run_folder import Run

gfile = tf.io.gfile
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def store_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers at once, and lists assets.extra/ in assets/, too, as a file .extra."""
    monkeypatch.setattr(version_claims, "WAIT_SECONDS", 0.01)

    def walk(
        top: str, walk: Callable = gfile.walk, exists: Callable = gfile.exists
    ) -> Iterator[tuple]:
        for root, folders, names in walk(top):
            yield root, folders, [name for name in names if exists(f"{root}/{name}")]

    monkeypatch.setattr(gfile, "walk", walk)


@pytest.fixture
def base() -> Iterator[str]:
    """BASE with the versions 1 to 3, in memory."""
    url = "ram://bucket/models/tiny"
    for number in (1, 2, 3):
        add(f"{url}/{number}")
    yield url
    remove_tree("ram://bucket/models")


def add(place: str, content: str = "old", files: tuple[str, ...] = FILES) -> None:
    for name in files:
        write(f"{place}/{name}", content)


def read(url: str) -> str:
    with gfile.GFile(url) as file:
        return file.read()


def served(base: str) -> dict[int, str]:
    """What a server finds: the content of each version with a saved_model.pb, which is whole."""
    found = {}
    for name in list_names(base):
        if name.isdecimal() and gfile.exists(f"{base}/{name}/saved_model.pb"):
            (found[int(name)],) = {read(f"{base}/{name}/{file}") for file in FILES}
    return found


def publish_one(base: str, keep: int | None = None, version: int | None = None) -> str:
    target = open_target(base)
    with target.folder_for_export() as folder:
        write_version(folder, "new")
        place = target.publish(folder, version)
    if keep:
        target.remove_old(keep, frozenset(), int(Path(place).name))
    return str(place)


# ---- into place -----------------------------------------------------------------------------


def test_versions_follow_each_other_and_nothing_else_is_left(base: str) -> None:
    assert publish_one(f"{base}/") == f"{base}/4"
    assert publish_one(base, version=9) == f"{base}/9"
    with pytest.raises(UserError, match="this version exists"):
        open_target(base).refuse_taken(2)
    with pytest.raises(UserError, match="this version exists"):
        publish_one(base, version=9)
    assert served(base) == {1: "old", 2: "old", 3: "old", 4: "new", 9: "new"}
    assert sorted(list_names(base)) == ["1", "2", "3", "4", "9"]
    assert sorted(list_files(f"{base}/9")) == sorted(FILES)


def test_the_first_version_of_a_base_that_is_not_there(base: str) -> None:
    assert publish_one("ram://bucket/models/new") == "ram://bucket/models/new/1"


def test_the_number_is_there_only_when_all_is_uploaded(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    seen: list[list[str]] = []

    def makedirs(folder: str, do: Callable = gfile.makedirs) -> None:
        if folder.startswith(f"{base}/4"):
            (aside,) = (name for name in list_names(base) if name.startswith(".export-"))
            seen.append(sorted([*list_files(f"{base}/{aside}"), *moved]))
        do(folder)

    def rename(source: str, target: str, do: Callable = gfile.rename) -> None:
        moved.append(target.removeprefix(f"{base}/4/"))
        do(source, target)

    monkeypatch.setattr(gfile, "makedirs", makedirs)
    monkeypatch.setattr(gfile, "rename", rename)
    publish_one(base)
    assert seen == [sorted([*FILES, "owner"])] * len(FILES)
    assert sorted(moved) == sorted(FILES) and moved[-1] == "saved_model.pb"


@pytest.mark.parametrize(
    "keep, named, new, left",
    [(1, {}, 12, [12]), (2, {1, 4}, 12, [1, 9, 12]), (1, {}, 9, [9, 12])],
)
def test_the_highest_the_named_and_the_new_stay(
    base: str, keep: int, named: set[int], new: int, left: list[int]
) -> None:
    base = "ram://bucket/models/keep"
    for name in ("1", "2", "009", "12"):
        add(f"{base}/{name}")
    write(f"{base}/13/half", "of somebody else")
    removed = RemoteVersions(base).remove_old(keep, frozenset(named), new)
    assert sorted([*removed, *left]) == [1, 2, 9, 12]
    assert sorted(served(base)) == left
    assert sorted(map(int, list_names(base))) == [*left, 13]


# ---- kills, and others at the same time -----------------------------------------------------


class Killed(BaseException):
    """A dead process touches nothing any more, so this goes on being raised."""


def die_at(moment: int, half: bool, patch: pytest.MonkeyPatch) -> None:
    """Have the process die before, or with `half` within, its touch number `moment`."""
    touches = 0

    def touch(name: str, do: Callable, *arguments: Any) -> Any:
        nonlocal touches
        touches += 1
        if touches < moment:
            return do(*arguments)
        if touches == moment and half and name == "copy":
            with real_file(arguments[1], "w") as file:
                file.write("ha")
        if touches == moment and half and name == "rename":
            # A store renames by a copy, and removes the old name after that.
            gfile_copy(*arguments)
        if touches == moment and half and name == "rmtree":
            # In whatever order: the worst for a version is to keep its saved_model.pb.
            for file in list_files_of(arguments[0]):
                if not file.endswith("saved_model.pb"):
                    real_remove(file)
        raise Killed

    real_file, gfile_copy, real_remove, real_walk = (
        gfile.GFile,
        gfile.copy,
        gfile.remove,
        gfile.walk,
    )

    def list_files_of(folder: str) -> list[str]:
        return [f"{root}/{name}" for root, _, names in real_walk(folder) for name in names]

    for name in ("GFile", "copy", "rename", "remove", "rmtree", "makedirs", "exists", "listdir"):
        do = getattr(gfile, name)
        patch.setattr(gfile, name, lambda *a, name=name, do=do: touch(name, do, *a))


@pytest.mark.parametrize("half", [False, True])
def test_killed_at_any_touch_it_leaves_the_old_state_or_the_new(half: bool) -> None:
    states = []
    for moment in range(1, 1000):
        base = f"ram://bucket/killed-{half}/{moment}"
        for number in (1, 2, 3):
            add(f"{base}/{number}")
        with pytest.MonkeyPatch.context() as patch:
            die_at(moment, half, patch)
            try:
                publish_one(base, keep=2)
                break
            except Killed:
                pass
        found = served(base)
        assert {number: "new" if number == 4 else "old" for number in found} == found
        states.append(tuple(found))
        # At once, the next export takes a number that nobody holds; it touches no other's files.
        before = set(all_files(base))
        place = publish_one(base)
        assert int(place.rpartition("/")[2]) in (4, 5) and before <= set(all_files(base))
        # A day later all else is cleared away.
        with pytest.MonkeyPatch.context() as patch:
            tomorrow = time.time() + DAY + 60
            patch.setattr(time, "time", lambda now=tomorrow: now)
            place = publish_one(base)
        assert sorted(map(int, list_names(base))) == sorted({*found, *served(base)})
        assert served(base).keys() - found.keys() >= {int(place.rpartition("/")[2])}
    assert moment > 45
    assert list(dict.fromkeys(states)) == [(1, 2, 3), (1, 2, 3, 4), (2, 3, 4), (3, 4)]
    assert served(base) == {3: "old", 4: "new"}
    remove_tree(f"ram://bucket/killed-{half}")


def all_files(base: str) -> list[str]:
    return [f"{name}/{file}" for name in list_names(base) for file in list_files(f"{base}/{name}")]


def test_exports_at_once_each_get_a_number(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_claims, "WAIT_SECONDS", 0.05)

    def publish_some(_: int) -> list[str]:
        return [publish_one(base) for _ in range(3)]

    with ThreadPoolExecutor(3) as crew:
        places = [place for some in crew.map(publish_some, range(3)) for place in some]
    numbers = sorted(int(place.rpartition("/")[2]) for place in places)
    assert len(set(numbers)) == 9 and min(numbers) == 4
    assert sorted(served(base)) == [1, 2, 3, *numbers]
    assert sorted(map(int, list_names(base))) == [1, 2, 3, *numbers]


def test_a_number_that_somebody_else_claims_is_left_to_him(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[str] = []

    def also_claim(base: str, name: str, do: Callable = version_claims.write_claim) -> str:
        if not others:
            others.append(do(base, name))
        return do(base, name)

    monkeypatch.setattr(version_claims, "write_claim", also_claim)
    assert publish_one(base) == f"{base}/5"
    assert others[0] in list_names(base) and "4" not in list_names(base)
    with pytest.raises(UserError, match="begun less than a day ago"):
        publish_one(base, version=4)


def test_a_rival_that_shows_only_late_keeps_the_number_and_its_files(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    def rename(source: str, target: str, do: Callable = gfile.rename) -> None:
        do(source, target)
        if f"{base}/4/" in target and not gfile.exists(f"{base}/4/theirs"):
            write(f"{base}/4/theirs", "theirs")
            version_claims.write_claim(base, "4")

    monkeypatch.setattr(gfile, "rename", rename)
    assert publish_one(base) == f"{base}/5"
    assert read(f"{base}/4/theirs") == "theirs" and sorted(served(base)) == [1, 2, 3, 5]


def test_files_that_are_cleared_away_meanwhile_make_no_version(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    def rename(source: str, target: str, do: Callable = gfile.rename) -> None:
        do(source, target)
        if not lost:
            lost.append(target)
            gfile.remove(target)

    monkeypatch.setattr(gfile, "rename", rename)
    assert Path(publish_one(base)).name in ("4", "5")
    assert list(served(base).values()).count("new") == 1


def test_half_a_version_of_somebody_else_is_no_version_and_stays(base: str) -> None:
    write(f"{base}/7/model.keras", "theirs")
    write(f"{base}/.export-notes/a", "theirs")
    write(f"{base}/.claim-notes", "theirs")
    assert sorted(open_target(base).list_versions()) == [1, 2, 3]
    assert publish_one(base, keep=3) == f"{base}/8"
    assert sorted(served(base)) == [2, 3, 8]
    assert {"7", ".export-notes", ".claim-notes"} <= {*list_names(base)}


def test_what_fails_leaves_nothing(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(source: str, target: str, do: Callable = gfile.rename) -> None:
        if target.endswith("saved_model.pb"):
            raise tf.errors.UnavailableError(None, None, "no answer\nat all")
        do(source, target)

    monkeypatch.setattr(gfile, "rename", rename)
    with pytest.raises(UserError, match="the upload failed\n.*no answer\n.*export again"):
        publish_one(base)
    assert sorted(list_names(base)) == ["1", "2", "3"]


# ---- which store ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, said",
    [
        ("s3://bucket/models/tiny", "tensorflow-io"),
        ("gs://bucket", "names no folder"),
        ("gs:///models/tiny", "names no folder"),
        ("file:///models/tiny", "names no folder"),
    ],
)
def test_a_store_that_is_not_known(url: str, said: str) -> None:
    for refuse in (open_target, find_baseline):
        with pytest.raises(UserError, match=said):
            refuse(url)


def test_a_store_that_does_not_answer(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise tf.errors.PermissionDeniedError(None, None, "not allowed")

    monkeypatch.setattr(gfile, "exists", refuse)
    with pytest.raises(UserError, match="cannot be read\n.*not allowed"):
        find_baseline(f"{base}/3")
    # A listing alone would tell it as an empty store, and the version 1 as free.
    with pytest.raises(UserError, match="cannot be read"):
        RemoteVersions("ram://bucket/models/none").refuse_taken(1)
    monkeypatch.setattr(gfile, "GFile", refuse)
    with pytest.raises(UserError, match="cannot be written\n.*not allowed"):
        open_target(base)


@pytest.mark.parametrize("path", ["models/tiny", "/mnt/share/models/tiny", "gs:/models", "//x/y"])
def test_a_path_is_no_store(path: str) -> None:
    assert open_target(path) == LocalVersions(Path(path))


# ---- what looks at versions -----------------------------------------------------------------


def test_labels_are_held_against_the_highest_version(base: str) -> None:
    add(f"{base}/10", files=("saved_model.pb",))
    write(f"{base}/10/assets/info.json", json.dumps({"labels": ["a", "b"]}))
    write(f"{base}/11/assets/info.json", json.dumps({"labels": ["half"]}))
    refuse_new_labels(RemoteVersions(base), ["a", "b"])
    with pytest.raises(UserError, match=f"those of {base}/10\n.*another order"):
        refuse_new_labels(RemoteVersions(base), ["b", "a"])
    refuse_new_labels(RemoteVersions("ram://bucket/models/none"), ["b", "a"])


def test_versions_that_the_server_s_config_names(base: str, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    text = 'model_config_list { config { name: "%s" base_path: "%s"'
    text += ' version_labels { key: "stable" value: 3 } } }'
    for name, path in (("tiny", "/m"), ("x", base), ("x", f"{base}/")):
        config.write_text(text % (name, path))
        assert read_named_versions(str(config), base) == {3}
    config.write_text(text % ("x", "gs://other/models/tiny"))
    with pytest.raises(UserError, match="has no model 'tiny'"):
        read_named_versions(str(config), base)


def test_a_rival_is_found_and_copied(base: str) -> None:
    assert find_baseline(f"{base}/3/") == f"{base}/3"
    with local_copy(f"{base}/3") as folder:
        assert {(folder / name).read_text() for name in FILES} == {"old"}
    assert not folder.exists()
    with pytest.raises(UserError, match="names no version"):
        find_baseline(base)


def test_the_command(
    published: tuple[Run, Export], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    run, base = str(published[0].folder), "ram://bucket/command/tiny"
    assert main([run, "--to", "s3://bucket/tiny"]) == 2
    reported = capsys.readouterr()
    assert "tensorflow-io" in reported.err and "the graph is written" not in reported.err
    first = Path(published[1].folder)
    for path in filter(Path.is_file, first.rglob("*")):
        copy(str(path), f"{base}/1/{path.relative_to(first).as_posix()}")
    rival = ["--not-worse-than", f"{base}/1"]
    assert main([run, "--to", base, *rival, "--keep", "1", "--json", "--no-measure-serving"]) == 0
    reported = capsys.readouterr()
    result = json.loads(reported.out)
    assert (result["folder"], result["version"], result["removed"]) == (f"{base}/2", 2, [1])
    assert result["gate"]["not_worse_than"]["against"] == f"{base}/1"
    assert f"tensorflow_model_server --model_name=tiny --model_base_path={base}\n" in reported.err
    assert list_names(base) == ["2"]
    with local_copy(f"{base}/2") as folder:
        model = tf.saved_model.load(str(folder))
    assert model.signatures["serving_default"](text=tf.constant(["x"]))["scores"].shape == (1, 3)
    remove_tree("ram://bucket/command")
