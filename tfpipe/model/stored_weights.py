"""Reading of weights files: tensors by BERT's names, in PyTorch's layout."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tfpipe.errors import UserError

INDEX = "model.safetensors.index.json"
WEIGHTS = ("model.safetensors", INDEX, "tf_model.h5")
# Google's checkpoints (TensorFlow 1): bert_model.ckpt.index and its data.
GOOGLE = ".index"
# Prefixes of wrappers before the names of a BERT, also nested: task models (`bert.`), Lightning
# (`model.`), DataParallel (`module.`), bi-encoders (`encoder.`), torch.compile (`_orig_mod.`).
PREFIXES = ("bert", "model", "module", "encoder", "_orig_mod")
_PREFIX = rf"(?:(?:{'|'.join(PREFIXES)})\.)*"
# The shortest prefix, for `encoder.` may also begin the name of a layer.
_ROOT = re.compile(rf"({_PREFIX}?)(?:embeddings|encoder\.layer)\.")
_HEAD = re.compile(
    rf"{_PREFIX}((?:classifier|qa_outputs|cls\.predictions\.transform)\..+|cls\.predictions\.bias)"
)
WORD_EMBEDDING = "embeddings.word_embeddings.weight"
_BODY = ("embeddings.", "encoder.", "pooler.")
# Constants that some versions of transformers store.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_LAST = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
_GOOGLE_STATE = ("/adam_m", "/adam_v", "global_step", "_CHECKPOINTABLE_OBJECT_GRAPH")
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
    path = find_weights(folder)
    assert path is not None
    try:
        if path.suffix == GOOGLE:
            yield _sort(path, _list_google(path))
        elif path.name == INDEX:
            with ExitStack() as opened:
                archives = [opened.enter_context(safe_open(p, "np")) for p in _list_shards(path)]
                yield _sort(path, [t for archive in archives for t in _list_safetensors(archive)])
        elif path.suffix == ".h5":
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


def find_weights(folder: Path) -> Path | None:
    """Return the file of the weights, the index of several files, or None where there is none."""
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    return next(iter([*found, *sorted(folder.glob(f"*.ckpt*{GOOGLE}"))]), None)


def save_tensors(values: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a safetensors file, with the mode of any new file.

    safetensors itself makes one that only its owner may read.
    """
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(values), path, metadata={"format": "pt"})
    path.chmod(mode)


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


def _list_shards(index: Path) -> list[Path]:
    """Return the files that the index of sharded weights names; raises UserError."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        # Files of this folder only.
        paths = [index.parent / Path(name).name for name in names]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            "the index of the model's weights cannot be read",
            f"{index}: {type(error).__name__}: {error}",
            "download it again",
        ) from None
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            "files of the model's weights are missing",
            f"{len(missing)} of {len(paths)} that {index} names: {list_few(missing)}",
            "download them, too",
        )
    return paths


def _list_google(index: Path) -> list[StoredTensor]:
    """List the tensors of a checkpoint of Google's BERT, without the state of its optimizer."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(index.with_suffix("")))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise OSError(str(error)) from None
    found = []
    for name, shape in reader.get_variable_to_shape_map().items():
        if name.endswith(_GOOGLE_STATE):
            continue
        # As TFBert has it: layer_._0, and a table of embeddings is a tensor in its layer.
        ours = re.sub(r"/layer_(\d+)/", r"/layer_._\1/", name)
        ours += "/embeddings:0" if ours.endswith("_embeddings") else ":0"
        floating = bool(reader.get_variable_to_dtype_map()[name].is_floating)

        def read(name: str = name) -> np.ndarray:
            try:
                return np.asarray(reader.get_tensor(name))
            except (tf.errors.OpError, ValueError, RuntimeError) as error:
                raise OSError(str(error)) from None

        found.append(_in_pytorch_layout(ours, shape, floating, read))
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
