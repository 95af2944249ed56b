"""`python -m tfpipe.ask RUN_OR_EXPORT "text" ...`: ask a model in this process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from tfpipe.cli import VERBS, parse, parser_for, run, say
from tfpipe.config import AskConfig
from tfpipe.errors import UserError
from tfpipe.process import run_as_process

if TYPE_CHECKING:
    from tfpipe.predicting.loaded_model import LoadedModel

ABOUT = """Ask a run or an export about texts, without a server. Each text is answered on a line of
its own: label and score, a number, the entities, or the answer to a question."""
EXAMPLE = 'python -m tfpipe.ask runs/support "Where is my card?" "My card was charged twice"'
# Lines of standard input that are answered together, where they do not come from a terminal.
LINES = 256
# Options of the verb `client`, which was called `ask`.
SERVER_FLAGS = ("--target", "--model")


def read_rows(config: AskConfig) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each row; those of standard input are read as they are needed."""
    for text in config.texts:
        if text != "-":
            yield (text,) if config.text_pair is None else (text, config.text_pair)
            continue
        from serving.client.cli.text_input import read_lines

        for _, line in read_lines(None):
            parts = tuple(line.split("\t", 1))
            yield parts if parts[1:] or config.text_pair is None else (line, config.text_pair)


def refuse_other_rows(inputs: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Raise UserError for a row that does not have a text for each input of the model."""
    for row in rows:
        if len(row) != len(inputs):
            raise UserError(
                f"the model reads {' and '.join(inputs)}",
                f"{len(row)} text{'s' * (len(row) > 1)}: {row[0][:60]!r}",
                "give --text-pair, or lines with a tab between the two texts"
                if inputs[1:]
                else "leave out --text-pair, and tabs in lines",
            )


def print_answers(model: LoadedModel, config: AskConfig) -> None:
    """Answer the rows and print each answer; raises UserError."""
    from serving.client.cli.answer_output import TEXT_VERBS, Table, print_json
    from tfpipe.tasks import TASKS

    spec = TASKS[model.task]
    if config.scores and spec.schema.load().scores_of != "label":
        raise UserError("the task has no scores of labels", spec.name, "leave out --scores")
    verb = TEXT_VERBS[spec.verb]
    table, rows, done = Table(verb.heading), read_rows(config), 0
    numbered = verb.heading[0] == "line"
    typed = "-" in config.texts and sys.stdin.isatty()
    while block := list(islice(rows, 1 if typed else LINES)):
        refuse_other_rows(model.inputs, block)
        answers = model(*map(list, zip(*block, strict=True)))
        waiting: list[tuple[str, ...]] = []
        for number, (row, answer) in enumerate(zip(block, answers, strict=True), done + 1):
            if config.json:
                print_json(**as_record(model, row, answer, config.scores))
                continue
            lines = verb.lines(answer, row)
            waiting += [(str(number), *one) for one in lines] if numbered else lines
            if config.scores:
                table.print(waiting)
                waiting = []
                for name, score in named_scores(model, answer).items():
                    print(f"  {score:.4f}  {name}")
        if waiting:
            table.print(waiting)
        done += len(block)
        sys.stdout.flush()


def as_record(model: LoadedModel, row: Sequence[str], answer: Any, scores: bool) -> dict[str, Any]:
    """Return a row and its answer for JSON; scores: whether those of all labels are in it."""
    record: dict[str, Any] = dict(zip(model.inputs, row, strict=True))
    if isinstance(answer, list):
        return record | {"entities": [vars(entity) for entity in answer]}
    found = dict(vars(answer))
    if "active" in found:
        record["labels"] = answer.active_labels
    record |= {name: v for name, v in found.items() if name not in ("labels", "active", "scores")}
    return record | ({"scores": named_scores(model, answer)} if scores else {})


def named_scores(model: LoadedModel, answer: Any) -> dict[str, float]:
    """Return the score of every label, the highest first."""
    names = model.label_names or map(str, range(len(answer.scores)))
    scores = [round(float(score), 6) for score in answer.scores]
    return dict(sorted(zip(names, scores, strict=True), key=lambda pair: -pair[1]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if any(one.split("=")[0] in SERVER_FLAGS for one in arguments):
        say("note: a server is asked by `tfpipe client`; `ask` takes a run or an export")
        return importlib.import_module(VERBS["client"][0]).main(arguments)
    parser = parser_for(AskConfig, "tfpipe.ask", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, AskConfig, arguments)
        from tfpipe.predicting.loaded_model import load

        print_answers(load(config.run_or_export), config)

    return run(command)


if __name__ == "__main__":
    run_as_process(main)
