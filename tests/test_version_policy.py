"""Which versions there should be, and what comes next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.config import file_system_storage_path_source_pb2

from serving.server.lifecycle.model_registry import Phase, ServedModel, ServedVersion
from serving.server.lifecycle.version_folders import choose_versions, fingerprint, list_versions
from serving.server.lifecycle.version_policy import preserve_availability, preserve_resources

POLICY = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig
FOUND = {number: Path(f"/m/{number}") for number in (-1, 0, 2, 9)}


def read_policy(text):
    return text_format.Parse(text, POLICY.ServableVersionPolicy())


def test_versions_are_int64_names_and_nothing_else(tmp_path):
    names = ["1", "007", "-3", "9223372036854775807", "-9223372036854775808"]
    others = ["9223372036854775808", "9" * 5000 if os.name == "nt" else "9" * 200]
    others += ["v1", "1.0", "+4", "", "tmp-5", "٣", "-"]
    for name in names + [name for name in others if name]:
        (tmp_path / name).mkdir()
    (tmp_path / "12").touch()
    found, oddities = list_versions(tmp_path)
    assert sorted(found) == sorted([*map(int, names), 12])
    assert found[7] == tmp_path / "007" and not oddities
    (tmp_path / "7").mkdir()
    found, [oddity] = list_versions(tmp_path)
    assert found[7] == tmp_path / "7" and "007" in oddity
    with pytest.raises(OSError):
        list_versions(tmp_path / "missing")


@pytest.mark.parametrize(
    "policy, chosen, odd",
    [
        ("", {9}, False),
        ("latest {}", {9}, False),
        ("latest { num_versions: 3 }", {9, 2, 0}, False),
        ("all {}", {9, 2, 0, -1}, False),
        ("specific { versions: 2 versions: -1 }", {2, -1}, False),
        ("specific { versions: 2 versions: 3 }", {2}, True),
    ],
)
def test_a_policy_chooses_versions(policy, chosen, odd):
    versions, oddities = choose_versions(FOUND, read_policy(policy))
    assert versions == {number: FOUND[number] for number in chosen}
    assert bool(oddities) == odd


def test_a_fingerprint_tells_any_change(tmp_path):
    (tmp_path / "variables").mkdir()
    seen = [fingerprint(tmp_path)]
    for change in (
        (tmp_path / "saved_model.pb").touch,
        lambda: (tmp_path / "variables" / "index").write_bytes(b"1"),
        lambda: (tmp_path / "variables" / "index").write_bytes(b"12"),
        lambda: os.utime(tmp_path / "saved_model.pb", (1, 1)),
    ):
        change()
        assert fingerprint(tmp_path) not in seen
        seen.append(fingerprint(tmp_path))
    assert fingerprint(tmp_path) == seen[-1]


VERSIONS = st.lists(
    st.builds(
        ServedVersion,
        number=st.integers(-3, 3),
        folder=st.just(Path("/m")),
        aspired=st.booleans(),
        phase=st.sampled_from(
            [Phase.NEW, Phase.LOADING, Phase.READY, Phase.UNLOADING, Phase.FAILED]
        ),
    ),
    unique_by=lambda version: version.number,
)


@given(VERSIONS)
def test_keeping_answering_never_unloads_the_last_answer_before_a_wanted_one_is_ready(versions):
    ready = {v for v in versions if v.phase is Phase.READY}
    action = preserve_availability(versions)
    if action and action[0] == "unload":
        assert action[1] in ready and not action[1].aspired
        left = ready - {action[1]}
        assert left or not any(version.aspired for version in versions)
    if action and action[0] == "load":
        assert action[1].aspired and action[1].phase is Phase.NEW


@given(VERSIONS)
def test_saving_memory_loads_only_when_nothing_unwanted_is_left(versions):
    action = preserve_resources(versions)
    if action and action[0] == "load":
        assert all(version.aspired for version in versions)
    for version in versions:
        if version.phase is Phase.READY and not version.aspired:
            assert action and action[0] == "unload"


def test_a_version_aspired_again_stays():
    model = ServedModel("m")
    model.aspire({1: Path("/m/1"), 2: Path("/m/2")})
    one, two = model.versions
    one.phase, two.phase = Phase.READY, Phase.FAILED
    two.error_code, two.error_message = 5, "no file"
    model.refresh_available()
    assert model.finished_version() is two
    model.aspire({})
    # The one that failed is history, the other still has to be unloaded.
    assert model.versions == [one] and not one.aspired
    assert model.states()[2].error_message == "no file"
    model.aspire({1: Path("/m/1")})
    assert model.versions == [one] and one.aspired
    # Another folder is another version, whatever its number.
    model.aspire({1: Path("/elsewhere/1")})
    assert [version.aspired for version in model.versions] == [False, True]
    assert model.states()[1].state == 30


def test_a_folder_that_is_removed_has_no_files(tmp_path):
    assert fingerprint(tmp_path / "removed") == frozenset()
