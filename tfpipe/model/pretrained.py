"""Loading and saving of model folders: weights, configuration, labels and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.library_internals import as_pytorch_weight
from tfpipe.model.adapters import peft_folder
from tfpipe.model.checkpoint_folder import check_vocabulary, read_settings, read_tokenizer
from tfpipe.model.grown import Growth
from tfpipe.model.head import MASKED, Head
from tfpipe.model.load_weights import load_weights
from tfpipe.model.stored_weights import WORD_EMBEDDING, open_weights, save_tensors
from tfpipe.model.text_model import TextModel
from tfpipe.model.transformers_classes import BertConfig, check_libraries
from tfpipe.model.trimmed import Trimming

VocabularyChange: TypeAlias = Callable[[Path], Trimming | Growth]
# Folder inside a model's folder of an adapter that cannot be merged into the weights.
ADAPTER = "adapter"


def load(
    folder: Path,
    label_names: Sequence[str] | None = None,
    head: Head | None = None,
    change_vocabulary: VocabularyChange | None = None,
) -> TextModel:
    """Load the model of a folder.

    Args:
        folder: A folder that transformers' from_pretrained reads.
        label_names: Names of the K labels to train; a head of another kind or size, and a pooler
            that the file lacks, are then newly initialised. None for a trained model: labels and
            head come from config.json, and all weights from the file.
        head: The head; None for one label a text, or with `label_names` None that of config.json.
        change_vocabulary: From the folder to its tokenizer with fewer or more tokens, and to what
            that changes of the weights; None to leave both as they are.

    Raises:
        UserError: There are no BERT weights, weights do not match config.json or are pickled, the
            model needs remote code, or vocabulary and embedding differ.
    """
    settings = read_settings(folder)
    change = change_vocabulary(folder) if change_vocabulary else None
    tokenizer = change.tokenizer if change else read_tokenizer(folder)
    config = BertConfig.from_dict(settings, name_or_path=str(folder))
    stored_head, complete = Head.of(config), label_names is None
    if label_names is None:
        id2label = config.id2label or {}
        label_names = [id2label[column] for column in range(config.num_labels)]
        head = head or stored_head
    head = head or Head()
    _describe(config, tokenizer, label_names, head)
    with open_weights(folder) as whole:
        stored = whole
        words = change.whole if change else len(tokenizer.vocabulary)
        note = check_vocabulary(folder, settings, words, whole)
        if change and WORD_EMBEDDING in whole.tensors:
            note, stored = change.describe(whole), change.select(whole)
            config.vocab_size = len(tokenizer.vocabulary)
        bert = _construct(config, head)
        same_head = head.kind in (stored_head.kind, MASKED)
        origin, fresh = load_weights(bert, stored, complete, same_head)
    origin += note
    model = TextModel(bert, tokenizer, list(label_names), head=head, origin=origin, fresh=fresh)
    return _with_stored_adapter(model, folder / ADAPTER, complete)


def _with_stored_adapter(model: TextModel, inside: Path, trained: bool) -> TextModel:
    """Return a model with the adapter in its folder, where one could not be merged.

    Raises:
        UserError: The model is not the trained one, but is to be trained further.
    """
    if not inside.is_dir():
        return model
    adapter = peft_folder.read(inside)
    if not trained:
        raise UserError(
            "the model has an adapter that is not merged, and cannot be the base of another",
            f"{inside}: {adapter.method}",
            f"train on with --adapter {inside} and the --model that it was trained on",
        )
    return peft_folder.attach(model, adapter)


def load_saved(model: TextModel, folder: Path) -> None:
    """Replace a model's weights by those that `save` wrote of it; raises UserError."""
    with open_weights(folder) as stored:
        load_weights(model.bert, stored, complete=True)
    if model.adapter:
        model.adapter.reset(model.backbone)


def build(
    config: BertConfig,
    tokenizer: Tokenizer,
    label_names: Sequence[str],
    head: Head | None = None,
) -> TextModel:
    """Build a model with random weights; `head` None for one label a text."""
    head = head or Head()
    _describe(config, tokenizer, label_names, head)
    bert = _construct(config, head)
    fresh = ("pooler", "head")
    names = list(label_names)
    return TextModel(bert, tokenizer, names, head=head, origin="random", fresh=fresh)


def _construct(config: BertConfig, head: Head) -> Any:
    """Build a TFBert with random weights; raises UserError for an invalid configuration."""
    check_libraries()
    try:
        bert = head.build(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "no BERT can be built from the model's config.json",
            f"{config.name_or_path}: {error}",
            "use the config.json that the model was trained with",
        ) from None
    bert.build_in_name_scope()
    return bert


def _describe(
    config: BertConfig, tokenizer: Tokenizer, label_names: Sequence[str], head: Head
) -> None:
    config.id2label = dict(enumerate(label_names))
    config.label2id = {name: i for i, name in enumerate(label_names)}
    # Where a checkpoint's file leaves it out, it would be taken for 0, another token of XLM-R's.
    config.pad_token_id = tokenizer.frame.pad
    head.write(config)


def save(
    model: TextModel, folder: Path, further: Mapping[str, np.ndarray] = MappingProxyType({})
) -> None:
    """Write a folder that transformers' from_pretrained reads, in TF and in PyTorch.

    `further` are tensors beside the model's, by PyTorch's names. An adapter's change is merged into
    the weights, or kept in a folder beside them. They are stored under PyTorch's names and layout:
    TF classes read that format too, while a TF-format file needs TensorFlow on the PyTorch side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = dict(as_pytorch_weight(weight.name, model.merged(weight)) for weight in model.weights)
    save_tensors({**state, **further}, folder / "model.safetensors")
    # TF classes write their own name; both TF and PyTorch read that of PyTorch.
    model.head.write(model.config)
    model.config.save_pretrained(folder)
    model.tokenizer.save(folder)
    if model.adapter and not model.adapter.mergeable:
        peft_folder.save(model, folder / ADAPTER)


def store_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Replace the task's settings in a saved model's config.json; raises OSError."""
    path = folder / "config.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"tfpipe": dict(settings)}
    write_text(path, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
