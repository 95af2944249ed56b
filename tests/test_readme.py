"""The README's commands, run in an empty folder in the order in which they stand."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from tests.support.documents import CONFIGS, ROOT, run_blocks

README = ROOT / "README.md"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", README.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_named_options_exist() -> None:
    """Options that the text names; those of the commands are parsed in test_docs.py."""
    from serving.client.cli.parser import build_parser
    from serving.server.flags import ServerFlags
    from tfpipe.cli import parser_for
    from tfpipe.config import RepeatConfig
    from tuning.config import SearchConfig, training_fields

    searched = parser_for(SearchConfig, "tuning.search", "", "", training_fields()).format_help()
    known = set(re.findall(r"--[a-z-]+", searched))
    for config in (*CONFIGS.values(), RepeatConfig):
        known |= set(re.findall(r"--[a-z-]+", parser_for(config, "", "", "").format_help()))
    verbs = next(action for action in build_parser()._actions if action.choices)
    known |= {o for p in dict(verbs.choices or {}).values() for o in p._option_string_actions}
    known |= {f"--{field.name}" for field in dataclasses.fields(ServerFlags)}
    for option in re.findall(r"`(--[a-z_-]+)", README.read_text(encoding="utf-8")):
        assert option in known, option
    page = (ROOT / "tuning" / "README.md").read_text(encoding="utf-8")
    for option in re.findall(r"--[a-z][a-z-]+", page):
        assert option in searched or option in ("--config", "--logdir"), option


def test_flags_of_the_serving_page_exist() -> None:
    from serving.client.cli.parser import build_parser
    from serving.server.flags import FIXED_FLAGS, ServerFlags

    page = (ROOT / "serving" / "README.md").read_text(encoding="utf-8")
    known = {f"--{field.name}" for field in dataclasses.fields(ServerFlags)}
    known |= {"--help", *(f"--{name}" for name in FIXED_FLAGS)}
    verbs = next(action for action in build_parser()._actions if action.choices)
    for parser in dict(verbs.choices or {}).values():
        known |= set(parser._option_string_actions)
    for flag in re.findall(r"--[a-z][a-z_-]+", page):
        assert flag in known, flag


@pytest.mark.parametrize(
    ("training", "exporting"),
    [
        pytest.param("--model tiny --epochs 1", "--no-measure-serving", id="tiny"),
        pytest.param("", "", id="as it stands", marks=[pytest.mark.readme, pytest.mark.slow]),
    ],
)
def test_commands_run(tmp_path: Path, training: str, exporting: str) -> None:
    done = run_blocks(README, tmp_path, training=training, exporting=exporting)
    assert done.returncode == 0, (tmp_path / "errors.txt").read_text(encoding="utf-8")
    assert '"accuracy"' in done.stdout  # evaluate
    assert "models/support/1" in done.stdout  # export
    assert "serving support version 1" in done.stdout  # server
    assert "Where is my parcel?" in done.stdout  # client
    assert (tmp_path / "runs" / "support" / "report.html").is_file()
