"""What a dry run looks at: the longest examples of every task."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.data import write_entities, write_messages, write_questions
from tfpipe import train
from tfpipe.config import TrainConfig
from tfpipe.data.examples import Columns
from tfpipe.data.splits import read_for
from tfpipe.model.presets import make_tiny
from tfpipe.tasks import TASKS
from tfpipe.training_run import take_longest

FILES = {
    "classify": ("a.tsv", write_messages),
    "tag": ("a.conll", write_entities),
    "qa": ("a.json", write_questions),
}
CASES = [("classify", "head"), ("classify", "windows"), ("tag", "head"), ("qa", "head")]


@pytest.mark.parametrize("name,long_text", CASES)
def test_the_longest_examples(name: str, long_text: str, tmp_path: Path) -> None:
    ending, write = FILES[name]
    rules, config = TASKS[name].task_class, TrainConfig(task=name, long_text=long_text)
    examples = read_for(str(write(tmp_path / ending, rows=40)), Columns(), rules)
    task = rules.from_labels(examples.parsed, config)
    texts = [*examples.texts, *(examples.text_pairs or ())]
    model = make_tiny(task.label_names, texts, head=task.head)
    whole = task.label(examples, model.tokenizer, 16)
    part = task.label(take_longest(whole, 5), model.tokenizer, 16)
    assert part.full_lengths.tolist() == sorted(whole.full_lengths)[::-1][:5]
    assert len(take_longest(whole, 1000)) == 40


@pytest.mark.slow
@pytest.mark.parametrize("name,long_text", CASES[1:])
def test_a_dry_run_of_other_inputs(
    name: str, long_text: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    ending, write = FILES[name]
    given = ["--task", name, "--train", str(write(tmp_path / ending)), "--long-text", long_text]
    usual = ["--model", "tiny", "--batch-size", "8", "--max-length", "12", "--dry-run"]
    assert train.main([*given, *usual]) == 0
    assert "8 texts predicted as in training" in capsys.readouterr().err
