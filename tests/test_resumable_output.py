"""The growing file of answers: whole windows only, whatever happens, and no one else's."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfpipe.errors import UserError
from tfpipe.io.locks import exclusive_lock
from tfpipe.predicting.resumable_output import ResumableOutput

MODEL = {"model": "run abc", "scores": False}
# Answers the windows that are missing, as the command does, from whatever an earlier start left.
# It stands by itself: importing these tests would take longer than it runs.
WRITER = """
import sys
from pathlib import Path
from tfpipe.predicting.resumable_output import ResumableOutput
with ResumableOutput(Path(sys.argv[1]), {"model": "run abc", "scores": False}) as part:
    print(part.rows, flush=True)
    for number in range(part.rows, 60):
        part.append(f"window {number}\\n".encode() * (number % 7 + 1) * 50, number + 1, "hash")
    part.finish()
"""
WINDOWS = [f"window {number}\n".encode() * (number % 7 + 1) * 50 for number in range(60)]


def begin(out: Path, windows: int) -> ResumableOutput:
    """A part with some windows done, closed as a killed process leaves it."""
    part = ResumableOutput(out, MODEL)
    with part:
        for number in range(windows):
            part.append(WINDOWS[number], number + 1, "hash")
    return part


def refused(out: Path, **settings: object) -> UserError:
    with pytest.raises(UserError) as caught, ResumableOutput(out, MODEL | settings):
        pass
    return caught.value


def test_windows_are_kept_and_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    begin(out, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv.part", "out.tsv.part.json"]
    with ResumableOutput(out, MODEL) as part:
        assert (part.rows, part.rows_sha256) == (3, "hash")
        part.append(WINDOWS[3], 4, "hash")
        part.finish()
    assert out.read_bytes() == b"".join(WINDOWS[:4])
    assert [path.name for path in tmp_path.iterdir()] == ["out.tsv"]


def test_a_window_that_was_not_noted_is_cut_off(tmp_path: Path) -> None:
    part = begin(tmp_path / "out.tsv", 2)
    with part.path.open("ab") as file:
        file.write(b"half a win")
    with ResumableOutput(tmp_path / "out.tsv", MODEL) as again:
        assert again.rows == 2
        again.append(WINDOWS[2], 3, "hash")
        again.finish()
    assert (tmp_path / "out.tsv").read_bytes() == b"".join(WINDOWS[:3])


def test_nothing_stays_of_a_start_that_answered_nothing(tmp_path: Path) -> None:
    with ResumableOutput(tmp_path / "out.tsv", MODEL) as part:
        part.append(b"header\n", 0, "")
    assert not list(tmp_path.iterdir())
    with ResumableOutput(tmp_path / "out.tsv", MODEL) as part:
        part.append(b"header\n", 0, "")
        part.finish()
    assert (tmp_path / "out.tsv").read_bytes() == b"header\n"


@pytest.mark.parametrize("left", [b"", b"header\n"])
def test_a_killed_start_that_answered_nothing_binds_nobody(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "out.tsv.part").write_bytes(left)
    note = {"rows": 0, "bytes": len(left), "rows_sha256": "", "model": "another"}
    (tmp_path / "out.tsv.part.json").write_text(json.dumps(note))
    with ResumableOutput(tmp_path / "out.tsv", MODEL) as part:
        assert (part.rows, part.size) == (0, 0)


def test_what_a_kill_left_beside_the_note_is_removed(tmp_path: Path) -> None:
    part = begin(tmp_path / "out[1].tsv", 3)
    (tmp_path / f".{part.state.name}.99999.tmp").write_text("{")
    other = tmp_path / ".out2.tsv.part.json.99999.tmp"
    other.write_text("{")
    with ResumableOutput(tmp_path / "out[1].tsv", MODEL) as again:
        again.finish()
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / "out[1].tsv"]


def test_a_note_of_a_part_that_is_gone_binds_nobody(tmp_path: Path) -> None:
    part = begin(tmp_path / "out.tsv", 3)
    part.path.unlink()
    with ResumableOutput(tmp_path / "out.tsv", {"model": "another"}) as again:
        assert again.rows == 0


def test_what_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    part = begin(out, 3)
    whole = part.path.read_bytes()
    error = refused(out, model="export def")
    assert error.wrong == "the part file was begun with another model"
    assert "run abc" in error.found and "export def" in error.found
    assert "another scores" in refused(out, scores=True).wrong
    note = part.state.read_text()
    for broken in ("{", "[]", "{}", json.dumps({"rows": 3, "bytes": len(whole) + 1})):
        part.state.write_text(broken)
        assert "cannot be resumed" in refused(out).wrong
    part.state.unlink()
    assert "cannot be resumed" in refused(out).wrong
    part.state.write_text(note)
    assert part.path.read_bytes() == whole
    out.write_text("mine")
    assert refused(out).wrong == "the output file exists"
    assert out.read_text() == "mine" and part.path.read_bytes() == whole
    assert "folder of --out is missing" in refused(tmp_path / "none" / "out.tsv").wrong
    (tmp_path / "taken.tsv.part").mkdir()
    assert "cannot be written" in refused(tmp_path / "taken.tsv").wrong


def test_a_file_that_appears_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    with pytest.raises(UserError, match="output file exists"), ResumableOutput(out, MODEL) as part:
        part.append(WINDOWS[0], 1, "hash")
        out.write_text("mine")
        part.finish()
    assert out.read_text() == "mine" and part.path.read_bytes() == WINDOWS[0]


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    part = begin(tmp_path / "out.tsv", 1)
    with exclusive_lock(part.path):
        assert refused(tmp_path / "out.tsv").wrong == "another process writes this file"
    assert part.path.read_bytes() == WINDOWS[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_any_moment_lose_nothing(tmp_path: Path, seed: int) -> None:
    out, chance, counts = tmp_path / "out.tsv", random.Random(seed), []
    while not out.exists():
        command = [sys.executable, "-c", WRITER, str(out)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        counts.append(int(writer.stdout.readline()))
        time.sleep(chance.random() * 0.02)
        writer.kill()
        writer.wait()
        assert len(counts) < 200
    assert counts == sorted(counts) and len(set(counts)) > 1
    assert out.read_bytes() == b"".join(WINDOWS)


def test_a_full_disk_leaves_what_was_done(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk's."""
    out = tmp_path / "out.tsv"
    script = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
    script += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + WRITER
    done = subprocess.run([sys.executable, "-c", script, str(out)], capture_output=True, text=True)
    assert done.returncode and "File too large" in done.stderr
    assert "UserError: the output file cannot be written" in done.stderr
    # No other error in its place when the file is closed.
    assert done.stderr.count("Traceback") == 1
    assert not out.exists()
    subprocess.run([sys.executable, "-c", WRITER, str(out)], check=True, capture_output=True)
    assert out.read_bytes() == b"".join(WINDOWS)
