"""Reading of weights files: tensors by BERT's names, in PyTorch's layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from tfpipe.errors import UserError

WEIGHTS = ("model.safetensors", "tf_model.h5")
# Prefixes of wrappers before the names of a BERT, also nested: task models (`bert.`), Lightning
# (`model.`), DataParallel (`module.`), bi-encoders (`encoder.`), torch.compile (`_orig_mod.`).
PREFIXES = ("bert", "model", "module", "encoder", "_orig_mod")
_PREFIX = rf"(?:(?:{'|'.join(PREFIXES)})\.)*"
# The shortest prefix, for `encoder.` may also begin the name of a layer.
_ROOT = re.compile(rf"({_PREFIX}?)(?:embeddings|encoder\.layer)\.")
_HEAD = re.compile(rf"{_PREFIX}((?:classifier|qa_outputs)\..+)")
_BODY = ("embeddings.", "encoder.", "pooler.")
# Constants that some versions of transformers store.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_LAST = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
_FLOATS = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the file, not yet read.

    Attributes:
        name: Its name in the file.
        shape: Its shape in PyTorch's layout, kernels [out, in].
        floating: Whether it has floating-point numbers.
        read: Reads its values in that layout, in the file's dtype.
    """

    name: str
    shape: tuple[int, ...]
    floating: bool
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class StoredWeights:
    """A BERT's tensors in an open file.

    Attributes:
        path: The file.
        root: The prefix of the body's names.
        tensors: Body, pooler and head by name without prefix
            (`encoder.layer.0.output.dense.weight`).
        others: Names of all other tensors, without prefixes.
    """

    path: Path
    root: str
    tensors: Mapping[str, StoredTensor]
    others: Sequence[str]


@contextmanager
def open_weights(folder: Path) -> Iterator[StoredWeights]:
    """Open the weights file of a model folder, in PyTorch's or TensorFlow's format.

    Raises:
        UserError: The file is damaged, also while its tensors are read in the context, or it has
            no BERT or several.
    """
    path = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    try:
        if path.suffix == ".h5":
            import h5py

            with h5py.File(path) as archive:
                yield _sort(path, _list_h5(archive))
        else:
            with safe_open(path, "np") as archive:
                yield _sort(path, _list_safetensors(archive))
    except (OSError, SafetensorError) as error:
        raise UserError(
            "the model's weights are damaged", f"{path}: {error}", "download it again"
        ) from None


def pytorch_name(name: str) -> str:
    """Convert the name of a tensor to that in current PyTorch checkpoints.

    Args:
        name: Of TensorFlow without the model's own name (`bert/encoder/layer_._0/.../kernel:0`),
            or of PyTorch, where old checkpoints call a LayerNorm's tensors gamma and beta.
    """
    parts = re.split(r"[/.]", name.removesuffix(":0").replace("_._", "/"))
    parts = [part.rsplit("___", 1)[-1] for part in parts]
    return ".".join([*parts[:-1], _LAST.get(parts[-1], parts[-1])])


def _list_safetensors(archive: Any) -> list[StoredTensor]:
    found = []
    for name in archive.keys():  # noqa: SIM118 (not a mapping)
        part = archive.get_slice(name)

        def read(name: str = name) -> np.ndarray:
            return archive.get_tensor(name)

        floating = part.get_dtype() in _FLOATS
        found.append(_in_pytorch_layout(name, part.get_shape(), floating, read))
    return found


def _list_h5(archive: Any) -> list[StoredTensor]:
    found = []

    def visit(path: str, item: Any) -> None:
        # A path begins with Keras's layer and the model's own name.
        name = path.split("/", 2)[-1]
        if hasattr(item, "shape"):
            found.append(
                _in_pytorch_layout(name, item.shape, item.dtype.kind == "f", lambda: item[()])
            )

    archive.visititems(visit)
    return found


def _in_pytorch_layout(
    name: str, shape: Sequence[int], floating: bool, read: Callable[[], np.ndarray]
) -> StoredTensor:
    if name.endswith("/kernel:0"):
        return StoredTensor(name, tuple(reversed(shape)), floating, lambda: read().T)
    return StoredTensor(name, tuple(shape), floating, read)


def _sort(path: Path, stored: list[StoredTensor]) -> StoredWeights:
    root = _find_root(path, [tensor.name for tensor in stored])
    tensors: dict[str, StoredTensor] = {}
    others = []
    for tensor in stored:
        name = pytorch_name(tensor.name)
        inner, head = name.removeprefix(root), _HEAD.fullmatch(name)
        key = head.group(1) if head else inner
        if not head and not (name.startswith(root) and inner.startswith(_BODY)):
            others.append(re.sub(f"^{_PREFIX}", "", name))
        elif key in tensors:
            raise UserError(
                "the model's weights have two tensors of one name",
                f"{tensors[key].name} and {tensor.name} in {path}",
                "keep one of them",
            )
        elif key not in _BUFFERS:
            tensors[key] = tensor
    return StoredWeights(path, root, tensors, others)


def _find_root(path: Path, names: list[str]) -> str:
    matches = [_ROOT.match(pytorch_name(name)) for name in names]
    roots = Counter(match.group(1) for match in matches if match)
    if not roots:
        raise UserError(
            "the model's weights are not those of a BERT",
            f"no tensor of embeddings or encoder.layer in {path}, with no prefix or"
            f" {', '.join(f'{prefix}.' for prefix in PREFIXES)}; it has {list_few(names)}",
            "use a BERT checkpoint, or rename its tensors",
        )
    if len(roots) > 1:
        counts = [f"{n} tensors with prefix {root or 'none'}" for root, n in roots.items()]
        raise UserError(
            "the model's weights have more than one BERT",
            f"{', '.join(counts)} in {path}",
            "keep the tensors of one of them",
        )
    return next(iter(roots))


def list_few(names: Sequence[str], most: int = 3) -> str:
    """Format the first names and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more
