"""Labels that train or the other files lack: refused, left out, kept, or equal as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.labels import OneLabel, refuse_unknown
from tfpipe.data.rare_labels import fit_train, same_values
from tfpipe.data.spans import Span, format_spans
from tfpipe.data.splits import Splits, read_for, read_splits
from tfpipe.errors import UserError
from tfpipe.tasks import TASKS


def write(path: Path, labels: Sequence[str], texts: Sequence[str] | None = None) -> str:
    rows = zip(texts or [f"text {i}" for i in range(len(labels))], labels, strict=True)
    path.write_text("text\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    return str(path)


def read(task: str, rare: str, train: str, dev: str, test: str | None = None) -> Splits:
    return read_splits(train, dev, test, Columns(rare_labels=rare), 1, TASKS[task].rules)


def refused(labels: Sequence[str]) -> UserError:
    examples = Examples(["a"] * len(labels), None, labels, "train.csv", Columns(), parsed=labels)
    with pytest.raises(UserError) as caught:
        fit_train(examples, "error", True, OneLabel)
    assert "--rare-labels drop" in caught.value.fix and "--rare-labels keep" in caught.value.fix
    return caught.value


def test_labels_that_occur_once_are_all_named() -> None:
    error = refused(["x", "x", *(f"once {i}" for i in range(7))])
    assert "'once 0', 'once 1'" in error.found and "and 2 more" in error.found


def test_a_label_that_occurs_once_and_is_nearly_another_names_that_one() -> None:
    error = refused([*["refund"] * 10, "refnud", "card", "Card"])
    assert error.found.startswith("'Card', 'card', 'refnud' in train.csv; the labels 'card' (1 row")
    error = refused([*["refund"] * 10, "refnud", "card", "card"])
    assert error.found == (
        "'refnud' in train.csv; the label 'refnud' (1 row: 11) is one edit from 'refund' (10 rows:"
        " 1, 2, 3, ...): correct it if it is a typing error; rows: row 11 'a' ('refnud')"
    )


@pytest.mark.parametrize("dev", ["0.2", "file"])
def test_rare_labels_of_one_name(dev: str, tmp_path: Path) -> None:
    train = write(tmp_path / "a.tsv", [*"xy" * 10, "once"])
    other = write(tmp_path / "b.tsv", [*"xyxy", "new", "new", "newer", "once"])
    dev = other if dev == "file" else dev
    with pytest.raises(UserError, match="occurs once"):
        read("classify", "error", train, dev, other)
    unseen = {"drop": "'new' (2), 'newer' (1), 'once' (1)", "keep": "'new' (2), 'newer' (1)"}
    for rare, dropped in unseen.items():
        parts = read("classify", rare, train, dev, other)
        in_train = parts.train.labels or ()
        assert ("once" in in_train) == (rare == "keep")
        assert dev == other or "once" not in (parts.dev.labels or ())
        assert parts.test is not None
        assert parts.test.labels == [*"xyxy", *(["once"] if rare == "keep" else [])]
        assert parts.test.lines is not None and [*parts.test.lines][:4] == [2, 3, 4, 5]
        about_train = f"drop left out 1 row of {train} with labels of one row: 'once' (1)"
        if rare == "keep":
            where = "" if dev == other else ", which the dev cut cannot check"
            about_train = f"keep: labels of one row of {train}{where}: 'once'"
        number = dropped.count("(1)") + 2
        about_other = f"left out {number} rows of {other} with labels that train lacks: {dropped}"
        assert [*parts.decisions] == [
            f"--rare-labels {about_train}",
            f"--rare-labels {rare} {about_other}",
        ]


def test_a_label_with_one_text_for_a_dev_cut(tmp_path: Path) -> None:
    texts = [*(f"text {i}" for i in range(20)), "Once!", "once"]
    train = write(tmp_path / "a.tsv", [*"xy" * 10, "z", "z"], texts)
    with pytest.raises(UserError, match="too few different texts") as caught:
        read("classify", "error", train, "0.2")
    assert "--rare-labels" in caught.value.fix
    kept = read("classify", "keep", train, "0.2")
    assert (kept.train.labels or ()).count("z") == 2 and "z" not in (kept.dev.labels or ())
    assert [*kept.decisions] == [
        f"--rare-labels keep: labels of one text of {train}, which the dev cut cannot check: 'z'"
    ]
    dropped = read("classify", "drop", train, "0.2")
    assert "z" not in (*(dropped.train.labels or ()), *(dropped.dev.labels or ()))
    # With a dev file two rows are enough.
    assert not read("classify", "drop", train, train).decisions


def test_what_is_left_must_be_learnable(tmp_path: Path) -> None:
    train = write(tmp_path / "a.tsv", ["x", "x", "x", "once"])
    with pytest.raises(UserError, match="only one label"):
        read("classify", "drop", train, "0.4")
    with pytest.raises(UserError, match="no row is left"):
        read("classify", "drop", write(tmp_path / "b.tsv", ["a", "b"]), "0.4")


def test_label_sets_lose_the_names_alone(tmp_path: Path) -> None:
    train = write(tmp_path / "a.tsv", ["a|b", "a", "b", "", "a|once", "b"] * 1)
    dev = write(tmp_path / "b.tsv", ["a|new", "new", "b", "new|b|a"])
    with pytest.raises(UserError, match="not trained on"):
        read("multilabel", "error", train, dev)
    parts = read("multilabel", "drop", train, dev)
    assert parts.train.labels == ["a|b", "a", "b", "", "a", "b"]
    assert parts.dev.labels == ["a", "", "b", "b|a"]
    assert parts.dev.parsed == [("a",), (), ("b",), ("b", "a")]
    assert [*parts.decisions] == [
        f"--rare-labels drop took from 1 row of {train} the labels of one row: 'once' (1)",
        f"--rare-labels drop took from 3 rows of {dev} the labels that train lacks: 'new' (3)",
    ]


def test_texts_with_entities_of_other_types_are_left_out(tmp_path: Path) -> None:
    def label(*kinds: str) -> str:
        return format_spans(Span(2 * i, 2 * i + 1, kind) for i, kind in enumerate(kinds))

    train = write(tmp_path / "a.tsv", [label("x"), label("x", "y"), label("y")] * 2)
    dev = write(tmp_path / "b.tsv", [label("x"), label("x", "new"), label()])
    parts = read("tag", "drop", train, dev)
    assert parts.dev.labels == [label("x"), "[]"] and parts.dev.texts == ["text 0", "text 2"]


def test_a_file_to_evaluate_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", ["x", "new", "y"])
    rules, tags = TASKS["classify"].rules, TASKS["tag"].rules
    left = read_for(path, Columns(), rules, ["x", "y"])
    with pytest.raises(UserError, match="not trained on") as caught:
        refuse_unknown(left, ["x", "y"], rules)
    assert caught.value.found == "'new'; known are 'x', 'y'; rows: line 3 'text 1'"
    assert read_for(path, Columns(rare_labels="drop"), rules, ["x", "y"]).labels == ["x", "y"]
    assert tags.names_of_columns(["O", "B-b", "I-b", "B-a", "I-a"]) == ["a", "b"]


# ---- the same number, spelled otherwise -------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "other", "read_as"),
    [
        ("1.0 0.0", "1 0", "1.0 0.0"),
        ("1 0", "1.0 0.0", "1 0"),
        ("True False", "true false", "True False"),
        ("true false", "TRUE FALSE", "true false"),
        ("1.0 0.0 2.0", "1 0.0 2", "1.0 0.0 2.0"),
        ("-1.0 1.0", "-1 1", "-1.0 1.0"),
    ],
)
@pytest.mark.parametrize("task", ["classify", "multilabel"])
def test_equal_numbers_are_one_label(
    task: str, train: str, other: str, read_as: str, tmp_path: Path
) -> None:
    train_file = write(tmp_path / "a.tsv", train.split() * 4)
    other_file = write(tmp_path / "b.tsv", other.split())
    parts = read(task, "error", train_file, other_file, other_file)
    for part in (parts.dev, parts.test):
        assert part is not None and part.labels == read_as.split()
    (reported,) = parts.decisions
    assert reported.startswith(f"{other_file}: labels ") and reported.endswith(
        ", as train writes them"
    )
    known = sorted({*train.split()})
    assert read_for(other_file, Columns(), TASKS[task].rules, known).labels == read_as.split()


@pytest.mark.parametrize("other", ["01 1", "1 3", "one two", "1.5 1"])
def test_others_are_not(other: str, tmp_path: Path) -> None:
    train = write(tmp_path / "a.tsv", ["1.0", "2.0"] * 4)
    dev = write(tmp_path / "b.tsv", other.split())
    assert read_for(dev, Columns(), TASKS["classify"].rules, ["1.0", "2.0"]).labels == other.split()
    with pytest.raises(UserError, match="not trained on") as caught:
        read("classify", "error", train, dev)
    assert "known are '1.0', '2.0'" in caught.value.found


def test_hints_at_names_that_are_nearly_known() -> None:
    examples: Any = Examples(["a"] * 2, None, ["Good ", "ＢＡＤ"], "a.csv", Columns())
    with pytest.raises(UserError, match="'Good ' is perhaps 'good'; 'ＢＡＤ' is perhaps 'bad'"):
        refuse_unknown(replace(examples, parsed=None), ["good", "bad"], TASKS["classify"].rules)


def test_a_number_that_two_labels_are_is_none_of_them() -> None:
    assert same_values(["1"], ["1.0", "1.00"]) == {}
    assert same_values(["1", "2", "x"], ["1.0", "x"]) == {"1": "1.0", "x": "x"}


# ---- in a run, and in what reads files for it -------------------------------------------------


def test_a_run_without_rare_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.support.runs import tiny_config
    from tfpipe import compare, evaluate
    from tfpipe.comparing.train_overlap import run_overlap
    from tfpipe.train import train as train_run

    file = write(tmp_path / "a.tsv", [*"xy" * 16, "once"])
    other = write(tmp_path / "b.tsv", ["x", "y", "new"], ["hello a", "hello b", "hello c"])
    settings: dict[str, Any] = {"train": file, "dev": "0.2", "test": other, "epochs": 1}
    run = train_run(tiny_config(tmp_path, **settings, rare_labels="drop"))
    assert run.data["train_rows"] + run.data["dev_rows"] == 32
    assert run.metrics["test"]["examples"] == 2
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for label in ("once", "new"):
        assert f"&#39;{label}&#39; (1)" in page or f"'{label}' (1)" in page
    kept = read("classify", "drop", file, "0.2").train
    assert run_overlap(run, kept).trained_on == len(kept)

    arguments = [str(run.folder), "--data", other]
    assert evaluate.main(arguments) == 2
    assert "'new'; known are 'x', 'y'" in capsys.readouterr().err
    assert evaluate.main([*arguments, "--rare-labels", "drop", "--json"]) == 0
    reported = f"left out 1 row of {other} with labels that train lacks: 'new' (1)"
    shown = capsys.readouterr()
    assert reported in shown.err and '"examples": 2' in shown.out
    both = [str(run.folder), *arguments, "--resamples", "100"]
    assert compare.main(both) == 2
    assert compare.main([*both, "--rare-labels", "drop"]) == 0
    assert reported in capsys.readouterr().out
