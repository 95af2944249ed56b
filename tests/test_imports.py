"""Import rules: layers, no circles, and what a client must never load."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each layer imports from itself and from layers before it.
LAYERS = [
    "library_settings",
    "imports",
    "process",
    "library_internals",
    "errors",
    "text_display",
    "io",
    "locations",
    "stats",
    "subprocesses",
    "fork_server_worker",
    "fork_server",
    "config",
    "data",
]
LAYERS += [
    "model",
    "tasks",
    "run_folder",
    "training",
    "report",
    "exporting",
    "retrieval",
    "predicting",
    "comparing",
    "probing",
    "compressing",
]
LAYERS += ["cleaning", "doctoring", "cli", "apps"]
LAYERS += [
    "run_listing",
    "runs",
    "training_run",
    "dry_run",
    "derived_run",
    "evaluate",
    "separate_training",
    "fold_answers",
    "repeated_training",
    "train",
    "launch",
    "rewrite_report",
    "compare",
    "predict",
    "probe",
    "pseudo",
    "soup",
    "pretrain",
    "compress",
    "ask",
    "export",
    "index",
    "doctor",
    "clean",
    "__main__",
]


@functools.cache
def imported(path: Path) -> list[str]:
    """Modules that a file imports, anywhere in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def layer_of(module: str) -> str:
    return module.split(".")[1]


def is_registry(module: str) -> bool:
    """Whether every package may import it: the specifications of the tasks, which import nothing
    but each other."""
    parts = module.split(".")
    return module == "tfpipe.tasks.TASKS" or "spec" in parts[2:4]


SPECS = [*(ROOT / "tfpipe" / "tasks").glob("*/spec.py"), ROOT / "tfpipe" / "tasks" / "spec.py"]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(ROOT)))
def test_specifications_import_nothing_else(path: Path) -> None:
    for module in imported(path):
        if module.startswith("tfpipe."):
            assert module.endswith(".WORDS") or is_registry(module), f"{path} imports {module}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tfpipe").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_layers_import_to_the_left(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[1] == "__init__":
        return
    here = LAYERS.index("__main__" if parts[-1] == "__main__" else parts[1])
    # Predictions ask servers, and have answers of the client's types: that stands alone, so no
    # circle can arise.
    knows_client = parts[1] in ("predicting", "apps") or parts[1:] == ("ask",)
    for module in imported(path):
        if module.startswith("serving.standard_output."):
            continue  # It imports nothing, and all commands print by it.
        if not (knows_client and module.startswith("serving.client.")):
            assert not module.startswith(("serving", "tuning")), f"{path} imports {module}"
        if is_registry(module):
            continue
        if module.startswith("tfpipe.") and layer_of(module) in LAYERS:
            assert LAYERS.index(layer_of(module)) <= here, f"{path} imports {module}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "serving").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_serving_stands_alone(path: Path) -> None:
    forbidden = ["tfpipe", "tuning", "transformers", "tf_keras", "keras"]
    if "client" in path.parts:
        forbidden += ["tensorflow", "tensorflow_serving", "serving.server"]
    for module in imported(path):
        assert not any(module == f or module.startswith(f + ".") for f in forbidden), module


def find_circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""

    def reach(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = imports[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reached = {module: reach(module) for module in imports}
    groups = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in imports
        if module in reached[module]
    }
    return sorted(map(list, groups))


def test_circles_are_found() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}}
    assert find_circles(imports) == [["b", "c"]]


def test_no_modules_import_each_other() -> None:
    """Those imported inside functions, and for types alone, count too."""
    paths = {}
    for package in ("tfpipe", "serving", "tuning"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            paths[".".join(parts).removesuffix(".__init__")] = path

    def module_of(name: str) -> str:
        while name and name not in paths:
            name = name.rpartition(".")[0]
        return name

    imports = {
        module: {module_of(name) for name in imported(path)} - {"", module}
        for module, path in paths.items()
    }
    assert find_circles(imports) == []


def test_tf_classes_of_transformers_enter_in_the_model_package() -> None:
    users = {
        path.name
        for path in (ROOT / "tfpipe").rglob("*.py")
        for module in imported(path)
        if module.startswith("transformers.TF") or "modeling_tf" in module
    }
    # The names and layout of PyTorch's weights are in a private part; the doctor's process looks
    # which Keras the classes see.
    assert users == {"library_internals.py", "transformers_classes.py", "import_libraries.py"}


def run_script(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_training_imports_neither_scikit_learn_nor_scipys_statistics() -> None:
    run_script("""
import sys
import tfpipe.training_run
assert not {"sklearn", "scipy.stats"} & set(sys.modules)
from scipy.stats import pearsonr
from sklearn.metrics import f1_score
assert f1_score([1, 0], [1, 0]) == 1
""")


def test_labels_are_read_without_tensorflow() -> None:
    run_script("""
import sys
import tfpipe.data.splits
from tfpipe.tasks import TASKS
assert [spec.rules.name for spec in TASKS.values()] == [*TASKS]
assert not {"tensorflow", "transformers"} & set(sys.modules)
""")


def test_the_support_application_needs_no_tensorflow() -> None:
    run_script("""
import pkgutil, sys
from importlib import import_module
import tfpipe.apps.support
for module in pkgutil.iter_modules(tfpipe.apps.support.__path__):
    if module.name != "__main__":
        import_module(f"tfpipe.apps.support.{module.name}")
from tfpipe.data.read_examples import read_examples
assert not {"tensorflow", "transformers", "sklearn"} & set(sys.modules)
""")


def test_packages_that_are_imported_already_stay() -> None:
    run_script("""
import sys
import sklearn
from tfpipe.imports import without_packages
with without_packages("sklearn", "mailbox"):
    assert sys.modules["sklearn"] is sklearn
    try:
        import mailbox
    except ImportError:
        pass
    else:
        raise AssertionError("mailbox was imported")
assert sys.modules["sklearn"] is sklearn
import mailbox
""")


def test_the_server_imports_no_keras_and_leaves_it_importable() -> None:
    run_script("""
import sys
from serving.server.cli import import_tensorflow
import_tensorflow()
import serving.server.application
assert not {"keras", "tf_keras"} & set(sys.modules)
import tensorflow as tf
assert tf.keras.layers.Dense(2).units == 2
""")


def test_the_model_package_alone_reads_the_transformers_model() -> None:
    for folder in ("tfpipe", "tuning"):
        for path in (ROOT / folder).rglob("*.py"):
            if "model" not in path.relative_to(ROOT).parts:
                assert not re.search(r"\.bert\b", path.read_text(encoding="utf-8")), path


VERBS = ["tfpipe.train", "tfpipe.evaluate", "tfpipe.predict", "tfpipe.export", "tfpipe.doctor"]
VERBS += ["tfpipe.clean", "tfpipe.compare", "tfpipe.ask", "tfpipe.report", "tfpipe.runs"]
VERBS += ["tfpipe.soup", "tfpipe.pretrain", "tfpipe.compress", "tfpipe.index", "tuning.search"]
VERBS += ["tfpipe.apps.support"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_loads_no_tensorflow(verb: str) -> None:
    script = f"""
import sys, runpy
sys.argv = ["{verb}", "--help"]
try:
    runpy.run_module("{verb}", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code
heavy = {{"tensorflow", "numpy", "transformers", "yaml"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "example:" in done.stdout


def test_no_machine_path_in_the_project() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    home, here = str(Path.home()) + "/", str(ROOT) + "/"
    for name in listed.stdout.split():
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        assert home.encode() not in content and here.encode() not in content, name
