"""Loading of a weights file into the variables of a TFBert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfpipe.errors import UserError
from tfpipe.model.stored_weights import StoredWeights, list_few, pytorch_name

HEADS = ("classifier.", "qa_outputs.", "cls.predictions.")
PARTS = ("body", "pooler", "head")


def load_weights(
    bert: Any, stored: StoredWeights, complete: bool = False, same_head: bool = True
) -> tuple[str, list[str]]:
    """Assign the file's tensors to a TFBert's variables.

    Pooler and head keep their initial values where the file does not hold them in the same shapes.

    Args:
        bert: A transformers TFBert model, built.
        stored: The open weights file.
        complete: Whether pooler and head must come from the file, too.
        same_head: Whether the file's head is of the model's kind; if not, it is not used.

    Returns:
        The parts loaded from the file and those newly initialised, in one line for the log; and
        the names of the latter, of `pooler` and `head`.

    Raises:
        UserError: The body of file and model differ in tensors or shapes, or `complete` fails.
    """
    parts: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    for variable in bert.weights:
        # Without the model's own name, to which Keras adds a number.
        key = pytorch_name(variable.name.split("/", 1)[1]).removeprefix("bert.")
        parts[_part_of(key)][key] = variable
    _refuse_unfit_body(parts["body"], stored, bert.config.num_hidden_layers)
    fresh = _find_fresh(parts, stored, same_head)
    if fresh and complete:
        raise UserError(
            f"the model has no trained {' and no trained '.join(fresh)}",
            f"{stored.path}: {_describe(fresh)}",
            "use the model of a finished run, or fine-tune this one with tfpipe.train --model",
        )
    loaded = [part for part in PARTS if parts[part] and part not in fresh]
    for part in loaded:
        for key, variable in parts[part].items():
            value = np.asarray(stored.tensors[key].read(), np.float32)
            variable.assign(value.T if _is_kernel(variable) else value)
    line = f"{', '.join(loaded)} from {stored.path.name}; {_describe(fresh) or 'nothing fresh'}"
    unused = _list_unused(parts, stored)
    return (f"{line}; not used: {list_few(unused)}" if unused else line), list(fresh)


def _part_of(key: str) -> str:
    if key.startswith(HEADS):
        return "head"
    return "pooler" if key.startswith("pooler.") else "body"


def _is_kernel(variable: Any) -> bool:
    return variable.name.endswith("/kernel:0")


def _shape(variable: Any) -> tuple[int, ...]:
    """The shape of a variable in PyTorch's layout."""
    shape = tuple(variable.shape)
    return shape[::-1] if _is_kernel(variable) else shape


def _compare(variables: Mapping[str, Any], stored: StoredWeights) -> tuple[list[str], list[str]]:
    """Describe the tensors that the file lacks, and those that do not match."""
    missing, unfit = [], []
    for key, variable in variables.items():
        tensor, shape = stored.tensors.get(key), list(_shape(variable))
        if tensor is None:
            root = "" if _part_of(key) == "head" else stored.root
            missing.append(f"{root}{key} {shape}")
        elif list(tensor.shape) != shape:
            unfit.append(f"{tensor.name} is {list(tensor.shape)}, {shape} is needed")
        elif not tensor.floating:
            unfit.append(f"{tensor.name} is not floating-point")
    return missing, unfit


def _refuse_unfit_body(variables: Mapping[str, Any], stored: StoredWeights, layers: int) -> None:
    missing, unfit = _compare(variables, stored)
    surplus = [
        f"{tensor.name} {list(tensor.shape)}"
        for key, tensor in stored.tensors.items()
        if _part_of(key) == "body" and key not in variables
    ]
    found = []
    if missing:
        found.append(f"{len(missing)} of {len(variables)} tensors missing: {list_few(missing)}")
    if unfit:
        found.append(f"{len(unfit)} of {len(variables)} do not fit: {list_few(unfit)}")
    if surplus:
        found.append(f"{len(surplus)} not in the model: {list_few(surplus)}")
    if not found:
        return
    held = {key.split(".")[2] for key in stored.tensors if key.startswith("encoder.layer.")}
    if len(held) != layers:
        found.append(f"{len(held)} layers in the file, num_hidden_layers is {layers}")
    raise UserError(
        "the model's weights do not fit its config.json",
        f"{'; '.join(found)}; in {stored.path}",
        "use config.json and weights of one checkpoint, or download both again",
    )


def _find_fresh(
    parts: Mapping[str, Mapping[str, Any]], stored: StoredWeights, same_head: bool
) -> dict[str, str]:
    """Find the reasons why pooler or head cannot be loaded from the file."""
    fresh: dict[str, str] = {}
    for part in ("pooler", "head"):
        missing, unfit = _compare(parts[part], stored)
        if part == "head" and not same_head and len(missing) < len(parts[part]):
            fresh[part] = "the file's is of another kind"
        elif unfit:
            fresh[part] = list_few(unfit, 1)
        elif missing:
            whole = len(missing) == len(parts[part])
            fresh[part] = "not in the file" if whole else f"the file lacks {list_few(missing, 1)}"
    return fresh


def _describe(fresh: Mapping[str, str]) -> str:
    return ", ".join(f"fresh {part} ({reason})" for part, reason in fresh.items())


def _list_unused(parts: Mapping[str, Mapping[str, Any]], stored: StoredWeights) -> list[str]:
    """List the file's further parts, such as a masked-LM head, by the first part of the name."""
    known = {key for variables in parts.values() for key in variables}
    keys = [key for key in stored.tensors if key not in known] + list(stored.others)
    return sorted({f"{key.split('.')[0]}.*" for key in keys})
