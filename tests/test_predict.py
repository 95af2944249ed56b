"""Answers for whole files: from a run, an export and a server, stopped and gone on with."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.serving_models import serve
from tests.support.data import write_messages
from tests.support.runs import finished_run
from tfpipe.config import EvaluateConfig, PredictConfig
from tfpipe.data.streaming import Window
from tfpipe.data.tabular import read_rows
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.export import Export
from tfpipe.predict import main, predict
from tfpipe.predicting.pipeline import cut_batches, in_order, take
from tfpipe.predicting.progress import Progress
from tfpipe.predicting.writers import make_writer
from tfpipe.run_folder import Run
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.classify.output import SCHEMA


@dataclass(frozen=True)
class World:
    """A run, its export, messages, and what evaluate says of them."""

    run: Run
    version: Path
    data: Path
    evaluation: ClassificationEvaluation


@pytest.fixture(scope="module")
def world(published: tuple[Run, Export], tmp_path_factory: pytest.TempPathFactory) -> World:
    run, exported = published
    data = write_messages(tmp_path_factory.mktemp("predict") / "asked.tsv", rows=150, seed=7)
    evaluation = evaluate(EvaluateConfig(run=str(run.folder), data=str(data)))
    assert isinstance(evaluation, ClassificationEvaluation)
    return World(run, Path(exported.folder), data, evaluation)


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[str]:
    with serve(tiny=world.version.parent) as application:
        yield application.grpc_address


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    header, rows = read_rows(path)
    return header, [list(row) for row in rows]


def check_equal(rows: list[list[str]], evaluation: ClassificationEvaluation) -> None:
    """Rows of text, label, score and all scores against evaluate's answers to the same texts."""
    assert [row[0] for row in rows] == list(evaluation.texts)
    names = evaluation.label_names
    assert [row[1] for row in rows] == [names[column] for column in evaluation.predicted]
    values = np.array([row[2:] for row in rows], np.float64)
    np.testing.assert_allclose(values[:, 0], evaluation.score, atol=2e-6)
    np.testing.assert_allclose(values[:, 1:], evaluation.scores, atol=2e-6)


# ---- equal answers --------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["run", "version", "name", "server"])
def test_answers_equal_evaluate(
    world: World, server: str, tmp_path: Path, source: str, capsys: pytest.CaptureFixture
) -> None:
    places = {
        "run": [str(world.run.folder)],
        "version": [str(world.version)],
        "name": [str(world.version.parent)],
        "server": ["--target", server, "--model", "tiny"],
    }
    out = tmp_path / "out.tsv"
    files = ["--data", str(world.data), "--out", str(out)]
    assert main([*places[source], *files, "--scores", "--window", "40"]) == 0
    reported = capsys.readouterr()
    assert reported.out == f"{out}\n" and "answered 150 rows in" in reported.err
    header, rows = read(out)
    assert header == [
        "text",
        "label",
        "score",
        *(f"score.{n}" for n in world.evaluation.label_names),
    ]
    check_equal(rows, world.evaluation)
    assert [path.name for path in tmp_path.iterdir()] == ["out.tsv"]


def test_pairs(tmp_path: Path) -> None:
    run = finished_run("pairs")
    data = write_messages(tmp_path / "asked.tsv", rows=30, seed=5, pairs=True)
    evaluation = evaluate(EvaluateConfig(run=str(run.folder), data=str(data)))
    assert isinstance(evaluation, ClassificationEvaluation)
    out = tmp_path / "out.csv"
    done = predict(PredictConfig(str(run.folder), str(data), str(out), scores=True, batch_size=8))
    assert (done.rows, done.rows_before, done.out) == (30, 0, out)
    header, rows = read(out)
    assert header[:4] == ["text", "text_pair", "label", "score"]
    check_equal([[" | ".join(row[:2]), *row[2:]] for row in rows], evaluation)
    single = write_messages(tmp_path / "single.tsv", rows=5)
    with pytest.raises(UserError, match="reads text pairs"):
        predict(PredictConfig(str(run.folder), str(single), str(tmp_path / "b.csv")))


@pytest.mark.parametrize("scores", [False, True])
def test_every_format_says_the_same(tmp_path: Path, scores: bool) -> None:
    texts = ['he said "card", then, 卡', "a\ttab\nand lines\r\n", "one \u2028 two\r", "😀" * 900]
    window = Window(texts, None, 4, "", 1.0)
    answers = {
        "label": np.array(["a", "b, c", 'd"', "é"], object),
        "score": np.array([0.5, 1.0, 1e-9, 0.1234567], np.float32),
        "scores": np.array([[0.5, 0.25, 0.25]] * 4, np.float32),
    }
    tables = {}
    for kind in ("tsv", "csv", "jsonl"):
        plain, zipped = tmp_path / f"out.{kind}", tmp_path / f"out.{kind}.gz"
        for path in (plain, zipped):
            table = make_writer(path, ["text"], SCHEMA, scores, ["a", "b", "c"])
            path.write_bytes(table.header() + table.rows(window, answers))
        assert gzip.decompress(zipped.read_bytes()) == plain.read_bytes()
        tables[kind] = read(plain)
    rows = tables["jsonl"][1]
    assert [row[0] for row in rows] == texts
    assert [row[2] for row in rows] == [0.5, 1.0, 0.0, 0.123457]
    flat = [[*row[:3], *(row[3].values() if scores else ())] for row in rows]
    assert not scores or list(rows[0][3]) == ["a", "b", "c"]
    assert [[*row[:2], *map(float, row[2:])] for row in tables["csv"][1]] == flat
    names = ["text", "label", "score", *(["score.a", "score.b", "score.c"] if scores else [])]
    assert tables["csv"][0] == tables["tsv"][0] == names
    spaced = [text.translate({9: " ", 10: " ", 13: " "}) for text in texts]
    assert [row[0] for row in tables["tsv"][1]] == spaced
    assert [row[1:] for row in tables["tsv"][1]] == [row[1:] for row in tables["csv"][1]]


def test_scores_of_labels_without_names_have_no_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names of its labels"):
        make_writer(tmp_path / "a.csv", ["text"], SCHEMA, True, None)
    make_writer(tmp_path / "a.jsonl", ["text"], SCHEMA, True, None)
    make_writer(tmp_path / "a.csv", ["text"], SCHEMA, False, None)


def test_a_file_without_rows(world: World, tmp_path: Path) -> None:
    data, out = tmp_path / "in.csv", tmp_path / "out.csv"
    data.write_text("text,label\n")
    assert predict(PredictConfig(str(world.version), str(data), str(out))).rows == 0
    assert out.read_text() == "text,label,score\n"


def test_batches_are_of_like_length_and_come_back_in_order() -> None:
    chance = random.Random(1)
    texts = ["x" * chance.randint(0, 3000) for _ in range(500)]
    window = Window(texts, [text[:9] for text in texts], 500, "", 1.0)
    for most, max_length in ((64, 128), (1, 16), (1000, 512), (64, 512)):
        batches = cut_batches(window, most, max_length)
        assert sorted(np.concatenate(batches)) == list(range(500))
        assert max(map(len, batches)) <= most
        taken = [take(window, batch) for batch in batches]
        widest = [max(map(len, texts)) for texts, _ in taken]
        assert widest == sorted(widest, reverse=True)
        assert all(
            len(b) * min(w, max_length) <= 16_384 for b, w in zip(batches, widest, strict=True)
        )
        answers = [{"label": np.array(texts, object)} for texts, _ in taken]
        assert in_order(batches, answers)["label"].tolist() == texts
        assert all(pairs == [t[:9] for t in texts] for texts, pairs in taken)
    # Where all of a row is read, long rows share a batch with few.
    whole = [sum(len(texts[row]) for row in batch) for batch in cut_batches(window, 500, None)]
    assert max(whole) <= 16_384 and len(whole) > 500 * 1500 // 16_384


@pytest.mark.parametrize(
    "source,forbidden",
    [("version", "transformers tfpipe.model"), ("server", "tensorflow transformers")],
)
def test_what_is_not_needed_is_not_loaded(
    world: World, server: str, tmp_path: Path, source: str, forbidden: str
) -> None:
    place = [str(world.version)] if source == "version" else ["--target", server, "--model", "tiny"]
    arguments = [*place, "--data", str(world.data), "--out", str(tmp_path / "out.jsonl")]
    script = f"import sys; from tfpipe.predict import main; assert main({arguments!r}) == 0\n"
    script += f"loaded = set({forbidden.split()!r}) & set(sys.modules); assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 150


# ---- stopped and gone on with -----------------------------------------------------------------


# So many that the command is not done before the signal reaches it.
MANY = 8_000


def stop_at(running: subprocess.Popen, note: Path, rows: int, number: int) -> str:
    """Send the signal once so many rows are done; what the process said."""
    while running.poll() is None:
        if note.exists() and json.loads(note.read_text())["rows"] >= rows:
            running.send_signal(number)
            break
        time.sleep(0.005)
    assert running.stderr is not None
    return running.stderr.read()


@pytest.mark.parametrize(
    "source,numbers",
    [
        pytest.param("version", [signal.SIGTERM], marks=pytest.mark.slow),
        ("server", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]),
    ],
)
def test_kills_leave_the_bytes_of_an_uninterrupted_run(
    world: World, server: str, tmp_path: Path, source: str, numbers: list[int]
) -> None:
    data = write_messages(tmp_path / "many.tsv", rows=MANY, seed=3)
    place = [str(world.version)] if source == "version" else ["--target", server, "--model", "tiny"]
    more = ["--keep-columns", "--second"] if source == "server" else []
    arguments = [*place, "--data", str(data), "--window", "16", *more, "--out"]
    whole, out = tmp_path / "whole.tsv.gz", tmp_path / "out.tsv.gz"
    assert main([*arguments, str(whole)]) == 0
    command = [sys.executable, "-m", "tfpipe.predict", *arguments, str(out)]
    note, done = tmp_path / "out.tsv.gz.part.json", 0
    for number in numbers:
        target = done + random.Random(number).randint(200, 1000)
        running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        said = stop_at(running, note, target, number)
        status = running.wait(timeout=60)
        assert not out.exists() and f"continuing after {done:,} rows" in said or not done
        done = json.loads(note.read_text())["rows"]
        assert target <= done < MANY
        if number == signal.SIGKILL:
            assert status == -number
        else:
            assert status == 128 + number and "Traceback" not in said
            assert f"stopped: {done:,} rows are done" in said and "same command continues" in said
    assert main([*arguments, str(out)]) == 0
    assert gzip.decompress(out.read_bytes()) == gzip.decompress(whole.read_bytes())
    assert out.read_bytes() == whole.read_bytes()
    assert len(gzip.decompress(out.read_bytes()).splitlines()) == MANY + 1
    assert not list(tmp_path.glob("*part*"))


def test_a_bad_row_keeps_what_is_before_it(
    world: World, server: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data, out, whole = (tmp_path / name for name in ("in.tsv", "out.tsv", "whole.tsv"))
    lines = world.data.read_bytes().splitlines()[:50]
    arguments = ["--target", server, "--model", "tiny", "--data", str(data)]
    arguments += ["--window", "8", "--out"]
    for place, broken, wrong, found, kept in (
        (20, b"\tcard", "a row has no text", "row 20", 16),
        (40, b"a\tb\tcard", "a row is not as wide as the header", "line 41", 32),
    ):
        data.write_bytes(b"\n".join([*lines[:place], broken, *lines[place + 1 :]]))
        assert main([*arguments, str(out)]) == 2
        reported = capsys.readouterr().err
        assert (
            wrong in reported and found in reported and f"{kept} rows are done and kept" in reported
        )
        assert json.loads((tmp_path / "out.tsv.part.json").read_text())["rows"] == kept
    # The encoding is that of the whole file, so its error comes before the first answer.
    data.write_bytes(b"\n".join([*lines[:30], b"\xff\tcard", *lines[31:]]))
    assert main([*arguments, str(out)]) == 2
    assert "not UTF-8: line 31" in capsys.readouterr().err
    assert json.loads((tmp_path / "out.tsv.part.json").read_text())["rows"] == 32
    data.write_bytes(b"\n".join(lines))
    assert main([*arguments, str(out)]) == main([*arguments, str(whole)]) == 0
    assert "continuing after 32 rows" in capsys.readouterr().err
    assert out.read_bytes() == whole.read_bytes()


def test_another_input_or_model_is_refused(world: World, server: str, tmp_path: Path) -> None:
    data, out = tmp_path / "in.tsv", tmp_path / "out.tsv"
    lines = world.data.read_text(encoding="utf-8").splitlines()
    data.write_text("\n".join([*lines[:90], "\tcard"]), encoding="utf-8")
    config = PredictConfig(
        data=str(data), out=str(out), target=server, model="tiny", window=8, batch_size=8
    )
    with pytest.raises(UserError, match="no text"):
        predict(config)
    kept = (tmp_path / "out.tsv.part").read_bytes()
    changed = tmp_path / "changed.tsv"
    changed.write_text(data.read_text(encoding="utf-8").replace(lines[1], "x\tcard"), "utf-8")
    with pytest.raises(UserError, match="not the one that was begun with"):
        predict(dataclasses.replace(config, data=str(changed)))
    with pytest.raises(UserError, match="begun with another model"):
        predict(PredictConfig(str(world.version), str(data), str(out), window=8))
    with pytest.raises(UserError, match="begun with another text column"):
        predict(dataclasses.replace(config, text="label"))
    with pytest.raises(UserError, match="begun with another scores"):
        predict(dataclasses.replace(config, scores=True))
    assert (tmp_path / "out.tsv.part").read_bytes() == kept
    done = predict(dataclasses.replace(config, answer_empty=True))
    assert (done.rows, done.rows_before) == (90, 88)


# ---- refused --------------------------------------------------------------------------------


def test_what_is_refused_before_a_model_is_loaded(world: World, tmp_path: Path) -> None:
    run, data = str(world.run.folder), str(world.data)
    (tmp_path / "taken.tsv").write_text("mine")
    (tmp_path / "link.tsv").symlink_to("nowhere")
    (tmp_path / "other").mkdir()
    for folder, source, out, wrong in (
        (run, data, "taken.tsv", "the output file exists"),
        (run, data, "link.tsv", "the output file exists"),
        (run, data, "out.parquet", "ending of --out"),
        (run, data, "none/out.tsv", "folder of --out is missing"),
        (run, str(tmp_path / "none.tsv"), "out.tsv", "data file is missing"),
        (str(tmp_path / "others"), data, "out.tsv", "did you mean 'other'"),
        (str(tmp_path / "other"), data, "out.tsv", "neither a run nor an export"),
    ):
        with pytest.raises(UserError, match=wrong):
            predict(PredictConfig(folder, source, str(tmp_path / out)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [*("link.tsv", "other", "taken.tsv")]
    assert (tmp_path / "taken.tsv").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments,wrong",
    [
        ([], "give either a folder or a server"),
        (["run", "--target", "localhost:1"], "give either a folder or a server"),
        (["--target", "localhost:1"], "--target and --model must be given together"),
        (["run", "--model", "tiny"], "--target and --model must be given together"),
        (["run", "--version", "3"], "--version selects a model on a server"),
        (["run", "--tls"], "--tls has no effect without a server"),
        (["run", "--server-name", "models"], "--server-name has no effect without a server"),
    ],
)
def test_settings_that_do_not_go_together(
    arguments: list[str], wrong: str, capsys: pytest.CaptureFixture
) -> None:
    assert main([*arguments, "--data", "a.tsv", "--out", "b.tsv"]) == 2
    assert wrong in capsys.readouterr().err


def test_damaged_models_are_told_in_a_line(world: World, tmp_path: Path) -> None:
    broken = {
        "version": (world.version, "assets/info.json", "info.json; No such file"),
        "run": (world.run.folder, "data.json", "data.json: No such file"),
    }
    for kind, (folder, missing, found) in broken.items():
        copy = tmp_path / kind
        shutil.copytree(folder, copy)
        (copy / missing).unlink()
        with pytest.raises(UserError) as caught:
            predict(PredictConfig(str(copy), str(world.data), str(tmp_path / "out.tsv")))
        assert found in caught.value.found and "\n" not in caught.value.found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "version"]


# ---- progress and memory ------------------------------------------------------------------------


def test_progress_tells_rate_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = Progress(1000, stream)
    progress.estimate(2000, 0.25)
    time.sleep(0.25)
    progress.advance(1000)
    assert "2,000 rows" in stream.getvalue() and "25%, about 0:01 left" in stream.getvalue()
    plain = io.StringIO()
    progress = Progress(0, plain)
    progress.advance(64)
    assert plain.getvalue() == "" and progress.rows == 64


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["tsv", "jsonl.gz"])
def test_memory_stays_flat(world: World, tmp_path: Path, ending: str) -> None:
    """A tenth of a gigabyte of texts takes the memory of a hundredth."""
    chance = random.Random(1)
    words = [f"word{number}" for number in range(4000)]
    texts = [" ".join(chance.choices(words, k=120)) for _ in range(5000)]
    peaks = []
    for rows in (10_000, 100_000):
        data = tmp_path / f"{rows}.{ending}"
        lines: Iterator[str] = (texts[row % 5000] for row in range(rows))
        if ending == "tsv":
            data.write_text("text\n" + "".join(line + "\n" for line in lines))
        else:
            with gzip.open(data, "wt", compresslevel=1) as file:
                file.writelines(json.dumps({"text": line}) + "\n" for line in lines)
        # Not ru_maxrss, which a process inherits from the one that starts it.
        script = "import sys; from tfpipe.predict import main; status = main(sys.argv[1:])\n"
        script += "lines = open('/proc/self/status').read().splitlines()\n"
        script += "print(next(line.split()[1] for line in lines if line.startswith('VmHWM:')))\n"
        script += "sys.exit(status)"
        arguments = [str(world.run.folder), "--data", str(data), "--out", f"{data}.out.jsonl"]
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
        assert Path(f"{data}.out.jsonl").read_bytes().count(b"\n") == rows
        data.unlink()
    assert peaks[1] - peaks[0] < 60_000, peaks
