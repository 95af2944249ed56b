"""The kernels of a BERT's layers, by the names that adapters and their files use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tfpipe.errors import UserError, did_you_mean

# From a target's name, as in `lay_out`, to the place of its dense layer in PyTorch's names.
TARGETS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
}
ALL = "all"
_KERNEL = re.compile(r"/encoder/layer_\._(\d+)/(.+)/kernel:0$")


def parse_targets(text: str) -> tuple[str, ...]:
    """Return the targets that `--adapter-targets` names, in the order of TARGETS.

    Raises:
        UserError: One is not a kernel of a BERT's layer.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in (ALL, *TARGETS)]
    if unknown or not names:
        hint = did_you_mean(unknown[0], TARGETS) if unknown else ""
        raise UserError(
            "--adapter-targets names what a BERT's layer does not have",
            repr(unknown[0] if unknown else text),
            f"{hint}give {ALL}, or some of {', '.join(TARGETS)}, separated by commas",
        )
    return tuple(name for name in TARGETS if ALL in names or name in names)


def dense_layers(layers: Sequence[Any], targets: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield the target kernels of transformers' TFBert layers.

    Returns:
        Of each its name in `lay_out` (`layer0/query`), its place in PyTorch's names
        (`encoder.layer.0.attention.self.query`), and its Keras Dense.
    """
    for number, layer in enumerate(layers):
        inside = layer.attention.self_attention
        found = {name: getattr(inside, name) for name in ("query", "key", "value")}
        found["attention_output"] = layer.attention.dense_output.dense
        found["intermediate"] = layer.intermediate.dense
        found["output"] = layer.bert_output.dense
        for target in targets:
            place = f"encoder.layer.{number}.{TARGETS[target]}"
            yield f"layer{number}/{target}", place, found[target]


def peft_modules(targets: Sequence[str], layers: int) -> list[str]:
    """Return `target_modules` of peft, which takes them as endings of names."""
    places = [TARGETS[name] for name in targets]
    if "output" in targets and "attention_output" not in targets:
        # `output.dense` is an ending of `attention.output.dense`, too.
        places.remove(TARGETS["output"])
        places += [f"{number}.{TARGETS['output']}" for number in range(layers)]
    return places


def name_of_kernel(variable: str) -> str | None:
    """Return the name in `lay_out` of a kernel, by its variable's; None for other variables."""
    found = _KERNEL.search(variable)
    if found is None:
        return None
    places = {place.replace(".", "/"): name for name, place in TARGETS.items()}
    target = places.get(found.group(2))
    return None if target is None else f"layer{found.group(1)}/{target}"
