"""Paths are recognised alike by every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfpipe.errors import UserError
from tfpipe.exporting.baseline import find_baseline
from tfpipe.exporting.remote_versions import open_target
from tfpipe.locations import Location, cache_folder, locate, locate_model
from tfpipe.run_folder import open_run


@pytest.mark.parametrize(
    "files, kind",
    [
        ({"config.yaml", "model/config.json"}, "run"),
        ({"metrics.json"}, "run"),
        ({"saved_model.pb", "config.yaml"}, "export"),
        ({"config.json", "vocab.txt"}, "model"),
        ({"1/variables/variables.index", "x/saved_model.pb"}, "folder"),
    ],
)
def test_folders(tmp_path: Path, files: set[str], kind: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert locate(str(tmp_path)) == Location(kind, str(tmp_path))  # type: ignore[arg-type]


def test_the_highest_whole_version_is_taken(tmp_path: Path) -> None:
    for name in ("2", "10", "11", ".12.tmp", "\u0663"):
        (tmp_path / name).mkdir()
        if name != "11":
            (tmp_path / name / "saved_model.pb").touch()
    # A damaged run's file beside the versions does not hide them.
    (tmp_path / "data.json").touch()
    assert locate(str(tmp_path)) == Location("export", str(tmp_path / "10"), 10)


def test_files_stores_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").touch()
    assert locate(str(tmp_path / "a.tsv")).kind == "file"
    assert locate("gs://bucket/models/a").kind == "store"
    missing = locate(str(tmp_path / "a.tvs"))
    assert missing.kind == "missing" and "did you mean 'a.tsv'?" in missing.suggestion


def test_each_command_tells_what_it_found_instead(tmp_path: Path) -> None:
    version, model = tmp_path / "name" / "3", tmp_path / "model"
    for folder, file in ((version, "saved_model.pb"), (model, "config.json")):
        folder.mkdir(parents=True)
        (folder / file).touch()
    for refuse, path, found in (
        (open_run, version.parent, "version 3 of an export"),
        (locate_model, model, "the folder of a model, without a run"),
        (locate_model, tmp_path, "a folder with model, name"),
        (find_baseline, version.parent, "version 3 of an export"),
        (open_target, version, str(version)),
    ):
        with pytest.raises(UserError) as caught:
            refuse(str(path))  # type: ignore[operator]
        assert found in caught.value.found


def test_the_cache_is_where_its_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setenv("TFPIPE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("TFPIPE_CACHE")
    assert cache_folder() == tmp_path / "x" / "tfpipe"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "tfpipe"
