"""Private names of other libraries are used in `library_internals.py` of each package only."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("tfpipe", "serving", "tuning", "benchmarks", "examples")
# Hooks of a library's class that its subclass overrides or calls cannot be elsewhere.
SUBCLASSES = ("tfpipe/training/adamw.py", "tuning/oracles.py", "tuning/persistent_oracle.py")
# Documented, though they begin with an underscore.
PUBLIC = {"_asdict", "_exit", "_fields", "_replace"}
# Folders of a library that are not its public interface.
PRIVATE_FOLDERS = {"python", "src"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def defined_in(tree: ast.AST) -> set[str]:
    """The names that classes and functions of a file define, attributes of `self` among them."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            for target in itertools.chain.from_iterable(map(ast.walk, targets)):
                if isinstance(target, ast.Attribute) and is_own(target.value):
                    names.add(target.attr)
                elif isinstance(target, ast.Name):
                    names.add(target.id)
    return names


def is_own(value: ast.expr) -> bool:
    """Whether an expression is `self`, `cls` or `super()`."""
    called = value.func if isinstance(value, ast.Call) else value
    return isinstance(called, ast.Name) and called.id in ("self", "cls", "super")


def private_uses(tree: ast.AST, here: set[str], inherited: set[str]) -> Iterator[str]:
    """The private names of others that a file uses.

    Args:
        tree: The file.
        here: The names that it defines itself, see `defined_in`.
        inherited: The names that its package defines, which its classes may inherit.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr not in (inherited | here if is_own(node.value) else here):
                yield ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            inside = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in [*inside, *(alias.name for alias in node.names)]:
                parts = module.split(".")
                if any(map(is_private, parts)) or PRIVATE_FOLDERS & set(parts[1:]):
                    yield ast.unparse(node)


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("session._extend_graph()", ["session._extend_graph"]),
        ("import tensorflow.python.client", ["import tensorflow.python.client"]),
        ("from keras_tuner.src import a", ["from keras_tuner.src import a"]),
        ("from grpc import _channel", ["from grpc import _channel"]),
        ("self._hook()", ["self._hook"]),
        ("self._tries += 1", ["self._tries"]),
        ("self._inherited()", []),
        ("import os\nos._exit(1)", []),
        ("class A:\n    def __init__(self):\n        self._a = 1\nA()._a", []),
    ],
)
def test_private_names_are_found(source: str, uses: list[str]) -> None:
    tree = ast.parse(source)
    assert list(private_uses(tree, defined_in(tree), {"_inherited"})) == uses


def test_private_names_are_used_in_one_module_of_each_package() -> None:
    found = {}
    for package in PACKAGES:
        trees = {
            path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
            for path in (ROOT / package).rglob("*.py")
        }
        here = {path: defined_in(tree) for path, tree in trees.items()}
        every = set().union(*here.values())
        found |= {path: set(private_uses(trees[path], here[path], every)) for path in trees}
    users = {path for path, uses in found.items() if uses}
    allowed = {path for path in found if path.endswith("/library_internals.py")}
    assert users - allowed == set(SUBCLASSES), {path: found[path] for path in users - allowed}
    # Every such module has a use, and is needed.
    assert allowed <= users


def own_and_library_classes() -> dict[type, list[type]]:
    """Our subclasses of a library's classes, and those classes."""
    from tfpipe.training.adamw import LayerwiseAdamW
    from tuning import oracles
    from tuning.persistent_oracle import PersistentOracle

    ours = [LayerwiseAdamW, PersistentOracle]
    ours += [oracles.BayesianOracle, oracles.GridOracle, oracles.HyperbandOracle]
    return {
        one: [base for base in one.__mro__ if base.__module__.split(".")[0] not in PACKAGES]
        for one in ours
    }


def test_hooks_are_called_by_the_library() -> None:
    """One that a release has renamed would be overridden without any effect or message."""
    checked = set()
    for ours, theirs in own_and_library_classes().items():
        modules = {inspect.getmodule(base) for base in theirs if base is not object}
        source = "".join(inspect.getsource(module) for module in modules if module)
        tree = ast.parse(inspect.getsource(ours))
        (body,) = tree.body
        assert isinstance(body, ast.ClassDef)
        overridden = {node.name for node in body.body if isinstance(node, ast.FunctionDef)}
        for name in filter(is_private, overridden):
            if any(name in vars(base) for base in theirs):
                checked.add(name)
                assert f"self.{name}(" in source, f"{ours.__name__}.{name} is not called"
    assert checked >= {
        *("_create_slots", "_resource_apply_dense", "_resource_apply_sparse_duplicate_indices"),
        *("_make_gpr", "_vectorize_trials", "_get_hp_bounds", "_save_trial"),
    }
