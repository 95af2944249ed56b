"""The documentation's commands parse and run, and its pages name what exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

from tests.support.documents import (
    ROOT,
    check_command,
    free_port,
    read_blocks,
    read_commands,
    run_blocks,
)
from tests.test_imports import LAYERS
from tfpipe.tasks import TASKS

DOCS = ROOT / "docs"
GUIDES = [
    ROOT / name for name in ("serving", "tuning", "examples", "tfpipe/training", "tfpipe/tasks")
]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(folder / "README.md" for folder in GUIDES)]
PAGES += sorted(DOCS.rglob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_parse(page: Path) -> None:
    for module, arguments in read_commands(page):
        check_command(module, arguments)


def test_a_renamed_option_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\npython -m serving.client wait --modell m &\n```\n")
    ((module, arguments),) = read_commands(page)
    assert arguments == ["wait", "--modell", "m"]
    with pytest.raises(SystemExit):
        check_command(module, arguments)


def test_every_task_has_a_tutorial() -> None:
    assert {page.stem for page in TUTORIALS} == set(TASKS)
    for page in TUTORIALS:
        modules = [module for module, _ in read_commands(page)]
        assert {"tfpipe.train", "tfpipe.evaluate", "tfpipe.export", "serving.server"} <= {*modules}
        assert any("from serving.client import" in text for _, text in read_blocks(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=names(TUTORIALS))
def test_tutorial_runs(page: Path, tmp_path: Path) -> None:
    done = run_blocks(page, tmp_path, free_port())
    assert done.returncode == 0, (tmp_path / "errors.txt").read_text(encoding="utf-8")[-3000:]
    (report,) = tmp_path.glob("runs/*/report.html")
    assert f"runs/{report.parent.name}" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_guide_of_search_runs(tmp_path: Path) -> None:
    page = DOCS / "guides" / "search.md"
    done = run_blocks(page, tmp_path, free_port(), "--model tiny --epochs 1 --dev 0.1")
    assert done.returncode == 0, (tmp_path / "errors.txt").read_text(encoding="utf-8")[-3000:]
    assert "refund-zh" in done.stdout and "'page': 'parcels'" in done.stdout


def test_the_example_of_a_loss_keeps_the_protocol() -> None:
    """Over equal passes it equals the task's own loss."""
    import tensorflow as tf

    from tfpipe.tasks.classify.task import Classify
    from tfpipe.training import objective

    ((_, code),) = read_blocks(DOCS / "adding" / "loss.md")
    names = dict(vars(objective))
    exec(code, names)
    task, settings = Classify(["a", "b"]), objective.LossSettings()
    batch = {"label": tf.constant([0, 1, 1]), "weight": tf.constant([1.0, 2.0, 0.0])}
    logits = tf.constant([[0.5, 1.0], [2.0, 0.1], [9.0, 1.0]])
    found = names["MeanOfPassesLoss"](task, settings, 3)(lambda _: logits, batch)
    expected = objective.TaskLoss(task, settings)(lambda _: logits, batch)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_navigation_has_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"\S+\.md$", text, re.MULTILINE)
    assert sorted(listed) == [str(p.relative_to(DOCS)) for p in sorted(DOCS.rglob("*.md"))]
    assert yaml.safe_load(text)["theme"]["font"] is False


def test_reference_names_what_exists() -> None:
    found = 0
    for page in (DOCS / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            found += 1
            module, _, last = name.rpartition(".")
            parent = importlib.import_module(module)
            assert hasattr(parent, last) or importlib.import_module(name), name
    assert found > 80


def test_picture_has_every_package_in_order() -> None:
    picture = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    shown = re.findall(r'class="package"[^>]*>([a-z_]+)<', picture)
    folders = [name for name in LAYERS if (ROOT / "tfpipe" / name).is_dir()]
    assert shown == folders


def test_named_files_exist() -> None:
    """Files and folders of the project that the pages about its code name."""
    for page in [*(DOCS / "adding").glob("*.md"), DOCS / "architecture.md", DOCS / "decisions.md"]:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:tfpipe|serving|tuning|tests|docs)/[\w./]+)`", text):
            new = "tfpipe/tasks/sentiment/" in name
            assert new or (ROOT / name).exists(), f"{page.name}: {name}"
