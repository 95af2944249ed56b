"""Operations beyond TensorFlow's core, and the signatures that need them.

A server cannot load operations; it has those that are linked into it. tensorflow_model_server also
links those of TensorFlow Text and Decision Forests (SUPPORTED_TENSORFLOW_OPS in its
model_servers/BUILD). Exports are held to the core alone, so that every server of SavedModels and a
bare `import tensorflow` run them. The core's operations are those registered in a process that
imports TensorFlow only (clean_process_worker.py), without those that need Python or depend on a
server's build.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

# They call back into a Python interpreter.
PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
# Operations of oneDNN, inserted at run time, and of XLA, which exist in compiled programs only:
# whether a server has their kernels depends on its build.
OPTIONAL = ("_Mkl", "__Mkl", "Xla", "_Xla")
RESTORING = "the loading of the weights"
UNREACHED = "no signature, in the function library"


@dataclass(frozen=True, order=True)
class UnsupportedOp:
    """An operation beyond the core, and the signatures that need it."""

    operation: str
    needed_by: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operation} ({', '.join(self.needed_by)})"


def refuse_unsupported(export: Path, registered: Collection[str]) -> int:
    """Return the number of kinds of operations in a SavedModel, all of TensorFlow's core.

    Args:
        export: The SavedModel's folder.
        registered: Operations with a CPU kernel where TensorFlow alone is imported.

    Raises:
        RuntimeError: There are others; it names each with the signatures that need it.
    """
    used = find_operations(export)
    unsupported = find_unsupported(used, registered)
    if unsupported:
        raise RuntimeError(
            "the export needs operations beyond TensorFlow's core, nothing was published:"
            f" {'; '.join(map(str, unsupported))}"
        )
    return len(used)


def find_unsupported(
    used: Mapping[str, tuple[str, ...]], registered: Collection[str]
) -> list[UnsupportedOp]:
    """Return those of `find_operations` that are not of the core, by name."""
    known = {name for name in registered if name not in PYTHON and not name.startswith(OPTIONAL)}
    return [
        UnsupportedOp(name, needed_by)
        for name, needed_by in sorted(used.items())
        if name not in known
    ]


def find_operations(export: Path) -> dict[str, tuple[str, ...]]:
    """Return each operation of a SavedModel's graphs and functions with what needs it."""
    saved = saved_model_pb2.SavedModel.FromString((export / "saved_model.pb").read_bytes())
    found: dict[str, set[str]] = {}
    for graph in saved.meta_graphs:
        walk = _GraphWalk(graph.graph_def)
        starts = {
            f"signature {name}": [info.name for info in signature.outputs.values()]
            for name, signature in graph.signature_def.items()
        }
        saver = graph.saver_def
        starts[RESTORING] = [saver.restore_op_name, saver.save_tensor_name]
        for start, tensors in starts.items():
            for operation in walk.reach(tensors):
                found.setdefault(operation, set()).add(start)
        for operation in walk.all_operations() - set(found):
            found[operation] = {UNREACHED}
    return {operation: tuple(sorted(needed_by)) for operation, needed_by in found.items()}


class _GraphWalk:
    """Traversal of a graph and its function library from tensors to the operations they need."""

    def __init__(self, graph: graph_pb2.GraphDef):
        self._nodes = {node.name: node for node in graph.node}
        self._functions = {f.signature.name: f.node_def for f in graph.library.function}

    def all_operations(self) -> set[str]:
        """Return the operations of the graph and of all functions."""
        parts = [self._nodes.values(), *self._functions.values()]
        return {node.op for part in parts for node in part} - set(self._functions)

    def reach(self, tensors: Iterable[str]) -> set[str]:
        """Return the operations that tensors depend on, those of called functions too."""
        operations: set[str] = set()
        waiting, seen = [_node_name(name) for name in tensors if name], set()
        called: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._nodes:
                continue
            seen.add(name)
            node = self._nodes[name]
            waiting += [_node_name(given) for given in node.input]
            called |= self._called(node)
            operations.add(node.op)
        done: set[str] = set()
        while called - done:
            function = (called - done).pop()
            done.add(function)
            for node in self._functions[function]:
                called |= self._called(node)
                operations.add(node.op)
        return operations - set(self._functions)

    def _called(self, node: node_def_pb2.NodeDef) -> set[str]:
        named = {node.op}
        for value in node.attr.values():
            named |= {value.func.name} | {function.name for function in value.list.func}
        return named & set(self._functions)


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]
