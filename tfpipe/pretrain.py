"""`python -m tfpipe.pretrain --texts FILE...`: train a model further on texts without labels."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import PretrainConfig
from tfpipe.errors import UserError
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.data.unlabelled import UnlabelledTexts
    from tfpipe.training.masked_lm import Pretrained

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.pretrain")

ABOUT = """Train a model further on texts without labels by masked language modelling (Devlin et al.
2019), and write a folder for `tfpipe.train --model`. Some texts are held out; the loss on them is
measured before and after."""
EXAMPLE = """python -m tfpipe.pretrain --texts news.txt more.jsonl --output models/domain
  python -m tfpipe.train --model models/domain --train train.tsv --dev dev.tsv"""
# Of the model by this name, not by its width.
MULTILINGUAL = " --learning-rate 1e-4 --head-rate 2e-3 --trim-vocabulary"


@dataclass(frozen=True)
class Pretraining:
    """What was trained.

    Attributes:
        output: The folder of the model.
        model: The model that was trained further.
        texts: Distinct texts that were trained on.
        held_out: Distinct texts that were measured on.
        left_out: Empty and repeated rows of the files.
        inputs: Inputs of an epoch.
        learning_rate: The peak rate.
        words: What is masked as one.
        new_words: Words that were added to the vocabulary.
        loss_before: Mean loss of a masked token of the held-out texts before training, in nats.
        loss_after: The same after it.
        accuracy_before: Share of these tokens that are predicted, before.
        accuracy_after: The same after it.
    """

    output: str
    model: str
    texts: int
    held_out: int
    left_out: int
    inputs: int
    learning_rate: float
    words: str
    new_words: Sequence[str]
    loss_before: float
    loss_after: float
    accuracy_before: float
    accuracy_after: float

    def __str__(self) -> str:
        """The figures in one line."""
        return (
            f"masked-LM loss on {self.held_out:,} held-out texts {self.loss_before:.2f} ->"
            f" {self.loss_after:.2f}, accuracy {self.accuracy_before:.2f} ->"
            f" {self.accuracy_after:.2f}"
        )


def pretrain(config: PretrainConfig) -> Pretraining:
    """Train as configured; writes the folder at the end, as a whole.

    Raises:
        UserError: The output exists, the texts cannot be used, or the model cannot be pretrained.
    """
    from tfpipe.data.examples import Columns, Examples
    from tfpipe.data.unlabelled import read_unlabelled
    from tfpipe.io.atomic import atomic_folder
    from tfpipe.model.choice import choose_model

    output = Path(config.output)
    _refuse_existing(output)
    columns = Columns(text=config.text, header=config.header)
    texts = read_unlabelled(config.files, columns, config.seed)
    choice = choose_model(config.model, Examples(texts.train, None, None, "", Columns()))
    choice.log()
    config = replace(config, model=choice.name)
    logger.info(
        f"texts: {len(texts.train):,} to train on, {len(texts.held_out):,} held out;"
        f" {texts.left_out:,} empty or repeated rows left out"
    )
    with quick_imports():
        from tfpipe.model.masked_lm import save_masked
        from tfpipe.training import masked_lm
    # Made before training, so that a folder that cannot be written costs none.
    with atomic_folder(output) as aside:
        done = masked_lm.pretrain(config, texts)
        result = _describe(config, texts, done)
        save_masked(done.model, config.model, aside)
        content = json.dumps({"settings": asdict(config), **asdict(result)}, indent=2)
        (aside / "pretrain.json").write_text(content + "\n", encoding="utf-8")
    if result.loss_after >= result.loss_before:
        logger.warning("warning: the loss on held-out texts is not lower than before training")
    return result


def _describe(config: PretrainConfig, texts: UnlabelledTexts, done: Pretrained) -> Pretraining:
    return Pretraining(
        output=config.output,
        model=config.model,
        texts=len(texts.train),
        held_out=len(texts.held_out),
        left_out=texts.left_out,
        inputs=done.rows,
        learning_rate=done.learning_rate,
        words=done.words,
        new_words=list(done.new_words),
        **{f"{name}_before": value for name, value in asdict(done.before).items()},
        **{f"{name}_after": value for name, value in asdict(done.after).items()},
    )


def _refuse_existing(output: Path) -> None:
    """Raise UserError where the output is not a new or an empty folder."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            "the folder of --output exists", str(output), "name another folder, or remove it"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(PretrainConfig, "tfpipe.pretrain", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, PretrainConfig, arguments)
        done = pretrain(config)
        if config.json:
            print_metrics(vars(done), as_json=True)
        else:
            print(done)
        more = MULTILINGUAL if done.model == "multilingual" else ""
        say(f"next:\n  python -m tfpipe.train --model {done.output}{more} --train FILE")

    return run(command)


if __name__ == "__main__":
    run_as_process(main)
