"""`python -m tfpipe.compress RUN`: a smaller run made from a finished one."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, run, say
from tfpipe.config import CompressConfig, PseudoConfig
from tfpipe.config.settings import flag_of
from tfpipe.errors import UserError, collected, raise_all
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.derived_run import DerivedRun
    from tfpipe.model.text_model import TextModel
    from tfpipe.report.sections import Compression
    from tfpipe.run_folder import Run

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.compress")

ABOUT = """Make a smaller run of a finished one: with the tokens of its texts alone, with fewer
layers or attention heads, with narrower feed-forward layers. The result is an ordinary run, whose
report has one table of size, speed and quality before and after. A trimmed vocabulary changes few
answers; fewer layers, heads or units change many, and --distill trains the smaller model to answer
as the run."""
EXAMPLE = """python -m tfpipe.compress runs/support --output runs/small --vocabulary
  python -m tfpipe.compress runs/support --output runs/fast --vocabulary --layers 3 --distill"""
FILE = "compress.json"
# The sizes that options lower, as config.json names them.
SIZES = {
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
}
# Settings of a run that are not those of the training of its smaller model.
PLAIN: Mapping[str, Any] = {
    "adapter": None,
    "few_shot": False,
    "trim_vocabulary": False,
    "r_drop": 0.0,
    "smoothness": 0.0,
    "mixout": 0.0,
    "freeze_layers": 0,
    "teacher_states": 0.0,
    "teacher_relations": 0.0,
    "resume": False,
    "json": False,
}
# Of a file with columns of its own.
NO_COLUMNS: Mapping[str, Any] = {"text": None, "text_pair": None, "label": None, "header": None}
ROWS = 4096
# Weight of the layers' mean outputs in distillation from the run itself. Of 1 to 100, 10 and 30
# gain most: 0.4 to 0.6 points with little data or few epochs (banking77, 2 and 3 of 6 layers).
STATES = 10.0


def compress(config: CompressConfig) -> Compression:
    """Write a smaller run as configured.

    Returns:
        The figures before and after.

    Raises:
        UserError: The run cannot be made smaller so, or a file cannot be read.
    """
    with quick_imports():
        from tfpipe.run_folder import open_run

    source = open_run(config.run)
    _refuse(config, source)
    further = _read_texts(config.vocabulary or (), source)
    with quick_imports():
        from tfpipe.compressing.figures import Measured, compare_models
        from tfpipe.derived_run import DerivedRun
        from tfpipe.model import pretrained
        from tfpipe.report.run_outputs import add_section
        from tfpipe.report.stored_report import encode

    derived = DerivedRun(source, f"{config.output}-pruned" if config.distill else config.output)
    dev = derived.data.sets[1]
    before = Measured(source, derived.model, *derived.tune())
    derived.change_model(_make_smaller(config, derived, further))
    logger.info(f"model: {before.model.parameters:,} -> {derived.model.parameters:,} parameters")
    done = derived.finish(_command(config))
    if config.distill:
        done = _distill(config, source, done, derived.model)
        derived.change_model(pretrained.load(done.model))
    found = compare_models(before, Measured(done, derived.model, *derived.tune()), dev)
    done.write_json(FILE, encode(found))
    add_section(done, compression=found)
    return found


def _refuse(config: CompressConfig, source: Run) -> None:
    """Raise UserError for what cannot be done with the run."""
    from tfpipe.model.checkpoint_folder import read_settings

    if config.vocabulary is None and all(getattr(config, name) is None for name in SIZES):
        raise UserError(
            "nothing is to be made smaller",
            config.run,
            "give --vocabulary, --layers, --heads, --ffn or several of them",
        )
    if (source.model / "adapter").is_dir():
        raise UserError(
            "a run with an adapter that is not merged cannot be made smaller",
            f"{source.folder}: --adapter {source.config.adapter}",
            "train one without it, or with another --adapter",
        )
    sizes = read_settings(source.model)
    errors: list[UserError] = []
    if config.distill:
        with collected(errors):
            _refuse_distilling(config, source)
    for option, name in SIZES.items():
        given, flag = getattr(config, option), flag_of(option)
        with collected(errors):
            if given is not None and given >= sizes[name]:
                raise UserError(
                    f"{flag} makes nothing smaller",
                    f"{given:,}, the model has {sizes[name]:,}",
                    f"give {sizes[name] - 1:,} or less",
                )
            if option == "heads" and given is not None and sizes["hidden_size"] % given:
                raise UserError(
                    "the hidden size of a BERT is a multiple of its heads",
                    f"--heads {given}, hidden size {sizes['hidden_size']:,}",
                    "give a divisor of that",
                )
    raise_all(errors)


def _refuse_distilling(config: CompressConfig, source: Run) -> None:
    """Raise UserError where the smaller model could not be trained as the run was."""
    from tfpipe.pseudo import open_texts
    from tfpipe.run_folder import find_run, open_run
    from tfpipe.tasks import TASKS

    reason = TASKS[source.config.task].inapplicable.get("teacher")
    if reason:
        raise UserError(
            f"--task {source.config.task} has no --distill: {reason}",
            config.run,
            "leave out --distill",
        )
    open_run(config.teacher or config.run)
    if config.texts is not None:
        if source.config.task != "classify":
            raise UserError(
                f"texts of --task {source.config.task} cannot be labelled",
                f"--texts {config.texts}",
                "leave out --texts",
            )
        # What cannot be labelled is refused before the model is made smaller.
        with quick_imports():
            from tfpipe.tasks.classify.task import Classify
        open_texts(PseudoConfig(config.run, config.texts), Classify.inputs(source.data["pairs"]))
    find_run(replace(source.config, output=config.output, resume=False), config.output)


def _read_texts(files: Sequence[str], source: Run) -> list[str]:
    """Read the texts of further files, by the columns that the run was trained on."""
    from tfpipe.data.examples import Columns
    from tfpipe.data.streaming import TextStream
    from tfpipe.predicting.trained_columns import prefer_trained

    texts: list[str] = []
    for file in files:
        columns = prefer_trained(file, Columns(), replace(source.columns, label=None))
        for window in TextStream(Path(file), columns, answer_empty=True).windows(ROWS):
            texts += [*window.texts, *(window.text_pairs or ())]
    return texts


def _make_smaller(config: CompressConfig, derived: DerivedRun, further: Sequence[str]) -> TextModel:
    """Return the smaller model."""
    from tfpipe.compressing.parts import choose_parts
    from tfpipe.model import pretrained
    from tfpipe.model.trimmed import trim
    from tfpipe.training.losses import make_loss

    model = whole = derived.model
    if config.vocabulary is not None:
        examples = derived.parts.train
        texts = [*examples.texts, *(examples.text_pairs or ()), *further]
        model = pretrained.load(
            derived.source.model, change_vocabulary=partial(trim, texts=texts, pieces=True)
        )
        logger.info(f"vocabulary: {model.origin}")
    if any(getattr(config, name) is not None for name in SIZES):
        plain = replace(derived.config, r_drop=0.0, smoothness=0.0, teacher=None)
        loss, train = make_loss(plain, derived.task), derived.data.sets[0]
        # Chosen of the whole model, whose tokens the training data are in.
        for prune in choose_parts(whole, config, loss, train, derived.config.batch_size):
            model = prune(model)
    return model


def _distill(config: CompressConfig, source: Run, pruned: Run, model: TextModel) -> Run:
    """Train the pruned model as the run was trained, on the outputs of the teacher, too.

    Another teacher may have other widths and tokens: only of the run itself layers are learnt.
    """
    from tfpipe.pseudo import pseudo
    from tfpipe.train import train

    teacher = config.teacher or config.run
    values: dict[str, Any] = {"model": str(pruned.model), "teacher": teacher, **PLAIN}
    if config.texts:
        file = pruned.folder / "texts.tsv"
        label = PseudoConfig(teacher, config.texts, str(file), score=0.0, with_train=True)
        logger.info(f"texts: {pseudo(label).labelled:,} more to train on")
        # A share of that file would be other examples.
        values |= {"train": str(file), "dev": str(source.folder / "dev.jsonl"), **NO_COLUMNS}
    if config.epochs:
        values["epochs"] = config.epochs
    if teacher == config.run and model.encoder is not None:
        values["teacher_states"] = STATES
    return train(replace(source.config, **values, output=config.output))


def _command(config: CompressConfig) -> str:
    """Return the shell line of the run's report."""
    words = ["python", "-m", "tfpipe.compress", config.run, "--output", config.output]
    words += [] if config.vocabulary is None else ["--vocabulary", *config.vocabulary]
    words += ["--distill"] if config.distill else []
    for name in (*SIZES, "teacher", "texts", "epochs", "seed"):
        value = getattr(config, name)
        if value != getattr(CompressConfig(), name):
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(CompressConfig, "tfpipe.compress", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, CompressConfig, arguments)
        found = compress(config)

        from tfpipe.compressing.table import render_table
        from tfpipe.report.stored_report import encode

        if config.json:
            print(json.dumps(encode(found), ensure_ascii=False))
            return
        print("\n".join(render_table(found)))
        say(f"report: {config.output}/report.html")

    return run(command)


if __name__ == "__main__":
    run_as_process(main)
