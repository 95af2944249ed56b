"""Folders of adapters in the format of peft: adapter_config.json and adapter_model.safetensors.

What peft has no place for, the method's name and the digest of the base model, is in tfpipe.json.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.model.adapters import ADAPTERS, AdapterSettings, LoRA
from tfpipe.model.adapters.targets import TARGETS
from tfpipe.model.stored_weights import list_few, pytorch_name, save_tensors
from tfpipe.model.text_model import TextModel

CONFIG, TENSORS, OWN = "adapter_config.json", "adapter_model.safetensors", "tfpipe.json"
# peft's names of the kinds of heads.
TASK_TYPES = {
    "sequence": "SEQ_CLS",
    "token": "TOKEN_CLS",
    "span": "QUESTION_ANS",
    "embedding": "FEATURE_EXTRACTION",
}
_WRAPPER, _PROMPT_WRAPPER = "base_model.model.", "base_model."
# Keys and values of a prefix: [positions, 2 * layers * width], the one tensor without a wrapper.
PROMPT = "prompt_embeddings"
# Settings of peft that change what is computed, and the only values that are read.
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA", "ADALORA"),
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "layers_to_transform": (None,),
    "lora_bias": (False,),
}


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter that was read.

    Attributes:
        folder: Its folder.
        method: A key of ADAPTERS.
        settings: Its settings.
        tensors: Its values by PyTorch's names in a BERT, in PyTorch's layout.
        base: SHA-256 of the base model's weights; None where the folder does not say.
        labels: Names of the head's columns; None where the folder does not say.
    """

    folder: Path
    method: str
    settings: AdapterSettings
    tensors: Mapping[str, np.ndarray]
    base: str | None
    labels: Sequence[str] | None


def save(model: TextModel, folder: Path) -> None:
    """Write the adapter of a model, its head included."""
    assert model.adapter is not None
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = _WRAPPER if PROMPT not in _variables(model) else _PROMPT_WRAPPER
    root = wrapper + ("" if model.head.kind == "embedding" else "bert.")
    values = {
        _own_name(name, wrapper, root): _as_pytorch(name, variable)
        for name, variable in _variables(model).items()
    }
    save_tensors(values, folder / TENSORS)
    own = {
        "method": model.adapter.method,
        "base_sha256": digest_of_base(model),
        "labels": list(model.label_names),
        # What is kept of a prefix is the network's output.
        "settings": asdict(replace(model.adapter.settings, reparametrized=False)),
    }
    for name, content in ((CONFIG, _describe(model)), (OWN, own)):
        write_text(folder / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def digest_of_base(model: TextModel) -> str:
    """Return the SHA-256 of what the adapter does not train: layers' kernels and word embedding."""
    digest = hashlib.sha256()
    for variable in model.backbone.weights:
        if "/pooler/" not in variable.name and variable.name.endswith(("/kernel:0", "/weight:0")):
            digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def read(folder: Path) -> StoredAdapter:
    """Read an adapter that `save` or peft has written.

    Raises:
        UserError: There is none, it is damaged, or of a kind that is not computed here.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        own = (folder / OWN).read_text(encoding="utf-8") if (folder / OWN).is_file() else "{}"
        known, tensors = json.loads(own), load_file(folder / TENSORS)
        method = known.get("method") or _method_of(config)
        values = {_plain_name(name): value for name, value in tensors.items()}
        if issubclass(ADAPTERS[method], LoRA):
            settings = _read_settings(folder, config, values)
        elif PROMPT in values:
            settings = AdapterSettings(rank=len(values[PROMPT]), reparametrized=False)
        else:
            settings = AdapterSettings(**known.get("settings", {}))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(
            "the adapter cannot be read",
            f"{folder}: {type(error).__name__}: {error}",
            f"give a folder with {CONFIG} and {TENSORS}, as a run or peft writes it",
        ) from None
    base, labels = known.get("base_sha256"), known.get("labels")
    return StoredAdapter(folder, method, settings, values, base, labels)


def attach(model: TextModel, stored: StoredAdapter) -> TextModel:
    """Return the model with an adapter that has the values of the stored one.

    The head is taken from it where it has the model's shapes and labels.

    Raises:
        UserError: It was made on another base, or does not fit the model.
    """
    base = digest_of_base(model)
    if stored.base not in (None, base):
        raise UserError(
            "the adapter was trained on another base model",
            f"{stored.folder}: base {str(stored.base)[:12]}, --model has {base[:12]}",
            f"give the --model that it names: {_named_base(stored.folder)}",
        )
    if "pooler.dense.weight" in stored.tensors:
        model = replace(model, fresh=sorted({*model.fresh, "pooler"}))
    model = model.with_adapter(stored.method, stored.settings)
    assert model.adapter is not None
    needed, variables = model.adapter.tensors(model.backbone), _variables(model)
    fitting = {name for name, value in stored.tensors.items() if _fits(name, value, variables)}
    wrong = (needed.keys() | stored.tensors.keys()) - fitting
    wrong = {name for name in wrong if not _is_head(name)}
    if wrong:
        raise UserError(
            "the adapter does not fit the model",
            f"{stored.folder}: {list_few(sorted(wrong))}",
            f"give the --model that it names: {_named_base(stored.folder)}",
        )
    same_labels = stored.labels in (None, list(model.label_names))
    for name in fitting:
        if same_labels or not _is_head(name):
            variables[name].assign(_turn(name, np.asarray(stored.tensors[name], np.float32)))
    return model


def _variables(model: TextModel) -> dict[str, tf.Variable]:
    """The variables of a file by PyTorch's names: the adapter's, then those of head and pooler."""
    assert model.adapter is not None
    ends = {pytorch_name(v.name.split("/", 1)[1]): v for v in model.new_variables}
    ends = {name.removeprefix("bert."): variable for name, variable in ends.items()}
    return {**model.adapter.tensors(model.backbone), **ends}


def _describe(model: TextModel) -> dict[str, Any]:
    assert model.adapter is not None
    beside = _variables(model).keys() - model.adapter.tensors(model.backbone).keys()
    ends = sorted({name.split(".")[0] for name in beside})
    described: dict[str, Any] = {
        "peft_type": model.adapter.peft_type or model.adapter.method.upper(),
        "task_type": TASK_TYPES[model.head.kind],
        "base_model_name_or_path": model.config.name_or_path,
        "inference_mode": True,
        "modules_to_save": ends or None,
    }
    return described | model.adapter.describe(model.config)


def _method_of(config: Mapping[str, Any]) -> str:
    """The method of an adapter that peft has written."""
    if config.get("use_dora"):
        return "dora"
    named = [name for name, one in ADAPTERS.items() if one.peft_type == config.get("peft_type")]
    return named[0] if named else "lora"


def _read_settings(
    folder: Path, config: Mapping[str, Any], names: Iterable[str]
) -> AdapterSettings:
    for name, values in _PLAIN.items():
        if config.get(name, values[0]) not in values:
            raise UserError(
                "the adapter is of a kind that tfpipe does not compute",
                f"{folder / CONFIG}: {name} is {config[name]!r}, not {values[0]!r}",
                "train it without this setting, or merge it into its model with peft",
            )
    # Not by `target_modules`, which peft reads as endings of names, or as a regular expression.
    changed = {re.sub(r"\d+", "0", name) for name in names}
    # Of adalora without `.weight`.
    changed = {name.removesuffix(".weight") for name in changed}
    first = {name: f"encoder.layer.0.{place}.lora_A" for name, place in TARGETS.items()}
    return AdapterSettings(
        rank=int(config.get("target_r", config.get("r", 8))),
        initial_rank=int(config.get("init_r", 0)),
        alpha=float(config.get("lora_alpha", 8)),
        rank_stabilized=bool(config.get("use_rslora")),
        targets=tuple(name for name in TARGETS if first[name] in changed),
        dropout=float(config.get("lora_dropout") or 0.0),
    )


def _own_name(name: str, wrapper: str, root: str) -> str:
    """The name in the file of a tensor of the adapter, or of head and pooler."""
    if name == PROMPT:
        return name
    return (wrapper if _is_head(name) else root) + name


def _plain_name(name: str) -> str:
    return name.removeprefix(_WRAPPER).removeprefix(_PROMPT_WRAPPER).removeprefix("bert.")


def _is_head(name: str) -> bool:
    return name.startswith(("classifier.", "qa_outputs."))


def _fits(name: str, value: np.ndarray, variables: Mapping[str, tf.Variable]) -> bool:
    return name in variables and _turn(name, value).shape == tuple(variables[name].shape)


def _as_pytorch(name: str, variable: tf.Variable) -> np.ndarray:
    return np.ascontiguousarray(_turn(name, variable.numpy()))


def _turn(name: str, value: np.ndarray) -> np.ndarray:
    """Change the layout of a matrix between PyTorch's and TensorFlow's, in either direction."""
    return value.T if value.ndim == 2 and name != PROMPT else value


def _named_base(folder: Path) -> str:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return str(config.get("base_model_name_or_path") or "not known")
