"""Models for masked language modelling: opened with their output layer, saved for fine-tuning."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.data.arrays import IntArray
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.model import pretrained
from tfpipe.model.checkpoint_folder import AUTO, check_limits, read_settings, read_tokenizer
from tfpipe.model.grown import grow
from tfpipe.model.head import MASKED, Head
from tfpipe.model.presets import find_folder, make_tiny
from tfpipe.model.stored_weights import open_weights
from tfpipe.model.text_model import TextModel

HEAD = Head(MASKED, None)
# By name, these have settings of their own, whatever their files say.
NAMED = ("starter", "multilingual")
# What sentence-transformers has in a folder; `presets` reads the first and the last.
SENTENCE_FILES = (
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)


def find_new_words(name: str, texts: Iterable[str], most: int) -> list[str]:
    """Find words of texts to add to a model's vocabulary; raises UserError where it cannot grow."""
    return read_tokenizer(find_folder(name)).find_new_words(texts, most) if most else []


def open_masked(
    name: str, texts: Iterable[str], max_length: int, new_words: Sequence[str] = ()
) -> TextModel:
    """Open a model with the output layer of masked language modelling.

    Args:
        name: `starter`, `multilingual`, `tiny`, a folder or a hub id.
        texts: The texts that `tiny` makes its vocabulary from.
        max_length: Longest input in tokens.
        new_words: Words to add to the vocabulary.

    Raises:
        UserError: There is no such model, or it cannot be trained.
    """
    if name == "tiny":
        return make_tiny([], texts, head=HEAD)
    folder = find_folder(name)
    check_limits(folder, read_settings(folder), max_length)
    change = functools.partial(grow, words=new_words) if new_words else None
    model = pretrained.load(folder, [], HEAD, change)
    if model.encoder is None:
        raise UserError(
            "the model cannot be pretrained: only stock TFBert computes it",
            f"hidden_act {model.config.hidden_act!r} in the configuration of {name}",
            "choose another --model",
        )
    return model


def start_output_layer(model: TextModel, token_ids: IntArray) -> None:
    """Set an output layer that the checkpoint lacks: no transformation, and each token's frequency.

    Args:
        model: The model.
        token_ids: int [T], the tokens of the training texts.
    """
    end = model.bert.mlm.predictions
    counts = np.bincount(token_ids, minlength=end.bias.shape[0]) + 1.0
    dense = end.transform.dense
    dense.kernel.assign(np.eye(dense.kernel.shape[0], dtype=np.float32))
    dense.bias.assign(np.zeros(dense.bias.shape, np.float32))
    end.bias.assign(np.log(counts / counts.sum()).astype(np.float32))


def save_masked(model: TextModel, name: str, folder: Path) -> None:
    """Write a model to continue with: the trained weights, and what the source has beside them.

    The pooler and the files of sentence-transformers are the source's, as is what `--pooling auto`
    reads, so that fine-tuning starts as from the source.

    Args:
        model: The model.
        name: The source, as `open_masked` takes it.
        folder: The folder to write; it is new.
    """
    if name == "tiny":
        pretrained.save(model, folder)
        _describe(folder, {})
        return
    source = find_folder(name)
    with open_weights(source) as stored:
        pooler = {
            f"bert.{key}": np.array(tensor.read(), np.float32)
            for key, tensor in stored.tensors.items()
            if key.startswith("pooler.")
        }
    pretrained.save(model, folder, pooler)
    for file in SENTENCE_FILES:
        if (source / file).is_file():
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / file, folder / file)
    before = {"pooling": AUTO} if name in NAMED else read_settings(source)
    _describe(folder, before)


def _describe(folder: Path, before: dict[str, Any]) -> None:
    """Leave what is of a task out of config.json; `before` is the source's."""
    path = folder / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for key in ("id2label", "label2id", "problem_type", "tfpipe", "pooling"):
        content.pop(key, None)
    content |= {key: before[key] for key in ("pooling",) if key in before}
    write_text(path, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
